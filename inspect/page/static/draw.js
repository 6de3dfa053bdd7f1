// Drawings and tables.
import { h } from './dom.js'
import { samples, SPAN } from './samples.js'
import { named } from './state.js'

// spark draws up to two series of samples, the second one dashed.
export function spark(names, say) {
  const series = names.map(n => samples.series[n] || [])
  const most = Math.max(1e-9, ...series.flat())
  const W = 240
  const H = 48
  const t = samples.at
  const end = t.at(-1) || 0
  const line = list => list.map((v, i) => `${i && t[i] - t[i - 1] < 10_000 ? 'L' : 'M'}${(W - (end - t[i]) * W / SPAN).toFixed(1)} ${(H - 2 - (v / most) * (H - 6)).toFixed(1)}`).join('') // what was not seen is a gap
  return h('svg', { class: 'spark', viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': names.map((n, i) => `${n} ${say(series[i].at(-1) || 0)}`).join(', ') + ', five minutes' },
    h('line', { x1: 0, x2: W, y1: H - 1.5, y2: H - 1.5, class: 'axis' }),
    series.map((s, i) => s.length > 1 && h('path', { key: names[i], d: line(s), class: 'line s' + i + (s.some(v => v > 0) ? '' : ' flat') })))
}

// asks is shown where the node has not answered yet: nothing is claimed before.
export const asks = () => h('p', { class: 'quiet' }, 'The page asks the node …')

// table draws rows; columns are [title, cell, class]. Without rows the node has not answered yet.
export function table(columns, rows, { key, empty, caption, mood } = {}) {
  if (!rows) return asks()
  if (!rows.length) return h('p', { class: 'quiet' }, empty || 'none')
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption || 'Table' }, h('table', {},
    h('thead', {}, h('tr', {}, columns.map(([title, , cls]) => h('th', { key: title, class: cls, scope: 'col' }, title)))),
    h('tbody', {}, rows.map((r, i) => h('tr', { key: key ? key(r) : i, class: mood && mood(r) }, columns.map(([title, cell, cls]) => h('td', { key: title, class: cls, 'data-title': title }, cell(r))))))))
}

// facts draws names and values.
export const facts = rows => h('dl', { class: 'facts' }, rows.filter(Boolean).map(([name, ...what]) => h('div', { key: name }, h('dt', {}, name), h('dd', {}, what))))

// notice draws a warning with what helps.
export const notice = (n, ...more) => h('li', { class: 'notice ' + (n.severity === 'error' || n.severity === 'failed' ? 'bad' : n.severity === 'info' ? '' : 'warn') },
  h('b', {}, named(n.what)), (n.step || more.some(Boolean)) && h('span', { class: n.step ? 'step' : 'more' }, named(n.step), ' ', more))

export const meter = (part, cls) => h('span', { class: 'meter ' + (cls || ''), 'aria-hidden': 'true' }, h('i', { at: { width: Math.min(100, Math.max(0, part * 100)).toFixed(1) + '%' } }))
