// What each part says of itself, a program's own parts, too: drawn from the labels and units that it gives.
import { h } from './dom.js'
import { post } from './api.js'
import { value, count } from './words.js'
import { asks, facts, table } from './draw.js'
import { state, link, acts, said } from './state.js'

export const sections = {
  title: 'Parts',
  open(ctx) {
    let names = null
    const first = new Map()
    ctx.every(4000, async () => {
      names = (await ctx.get('/v1/sections', { limit: 1000 })).items
      await Promise.all(names.map(async n => { try { first.set(n, (await ctx.get(`/v1/sections/${n}/figures`, { limit: 40 })).items) } catch (e) { if (!ctx.signal.aborted) first.set(n, e) } }))
    })
    return () => h('div', { class: 'parts' }, !names && ctx.waits(), names?.map(n => h('section', { key: n, class: 'card' }, h('h2', {}, link('/section/' + encodeURIComponent(n), n.replaceAll('-', ' '))),
      known(first.get(n)).filter(f => f.path === 'summary').map(f => h('p', {}, f.value)),
      facts(known(first.get(n)).filter(f => f.path !== 'summary' && f.rank <= 2 && !/(^|\.)\d+(\.|$)/.test(f.path)).sort((a, b) => a.rank - b.rank).slice(0, 6).map(f => [name(f), value(f.value, f.unit)])), rows(first.get(n)))))
  },
}

const known = figures => (Array.isArray(figures) ? figures : [])

// rows says how long a section is that is a list alone.
function rows(figures) {
  if (figures instanceof Error) return h('p', { class: 'warn' }, figures.message)
  if (!figures) return asks()
  if (!figures.length) return h('p', { class: 'quiet' }, 'nothing now')
  if (!/^\d+\./.test(figures[0].path)) return null
  return h('p', { class: 'quiet' }, 'a list; its page shows it')
}

// name says what a figure is; the path tells apart what has one label.
const name = f => {
  const dirs = f.path.split('.').slice(0, -1).filter(p => !/^\d+$/.test(p)).map(p => p.replaceAll('_', ' '))
  return [...dirs, f.label.toLowerCase()].join(' · ')
}

export const section = {
  title: 'Part',
  under: 'sections',
  open(ctx) {
    let figures = null, total = 0, verbs = [], all = false
    const results = new Map()
    ctx.every(2000, async () => {
      const f = await ctx.get(`/v1/sections/${encodeURIComponent(ctx.arg)}/figures`, { limit: 1000 })
      figures = f.items
      total = f.total
    })
    ctx.get('/v1/verbs', { limit: 1000 }).then(v => { verbs = v.items.filter(v => v.section === ctx.arg && !v.body && (!v.local || state.private)); ctx.redraw() }, () => {})
    return () => {
      if (!figures) return ctx.waits()
      const shown = figures.filter(f => all || f.rank <= 2)
      const single = shown.filter(f => !/(^|\.)\d+(\.|$)/.test(f.path))
      return [
        h('p', { class: 'crumbs' }, link('/sections', 'all parts')),
        h('div', { class: 'bar' }, h('label', {}, h('input', { type: 'checkbox', checked: all, onchange: e => { all = e.target.checked; ctx.redraw() } }), ' every detail'), h('span', { class: 'quiet' }, total > figures.length ? `${count(figures.length)} of ${count(total)} values` : `${count(total)} values`)),
        figures.length === 0 && h('p', { class: 'quiet' }, 'It has nothing to show.'),
        facts(single.map(f => [name(f), h('span', { title: f.help || f.metric || f.path }, value(f.value, f.unit))])),
        lists(shown).map(l => h('section', { key: l.name }, h('h2', {}, l.name.replaceAll('_', ' ') || ctx.arg), table(l.columns.map(c => [c.label, r => value(r[c.path]?.value, c.unit), c.unit === 'text' || c.unit === 'switch' ? '' : 'n']), l.rows, { caption: l.name }))),
        said(ctx),
        verbs.length > 0 && acts() && h('section', {}, h('h2', {}, 'What it can do'), verbs.map(v => verb(ctx, v, results))),
      ]
    }
  },
}

// lists makes tables of what has numbers in its path: rows are elements, columns their values.
function lists(figures) {
  const by = new Map()
  for (const f of figures) {
    const m = /^(?:(.*?)\.)?(\d+)(?:\.(.*))?$/.exec(f.path)
    if (!m) continue
    const at = m[1] || '', i = m[2], rest = m[3] || 'value'
    if (/\.\d+\./.test('.' + rest + '.')) continue // a list in a list is on its own page of the API
    let l = by.get(at)
    if (!l) by.set(at, (l = { name: at, columns: [], rows: [], index: new Map() }))
    if (!l.index.has(i)) {
      l.index.set(i, {})
      l.rows.push(l.index.get(i))
    }
    l.index.get(i)[rest] = f
    if (!l.columns.some(c => c.path === rest)) l.columns.push({ path: rest, label: rest === 'value' || f.label.toLowerCase() !== at.split('.').at(-1).replaceAll('_', ' ') ? f.label.toLowerCase() : rest.replaceAll('_', ' '), unit: f.unit })
  }
  return [...by.values()]
}

function verb(ctx, v, results) {
  const id = v.section + '/' + v.verb
  const run = async e => {
    e.preventDefault()
    const params = Object.fromEntries(new FormData(e.target))
    if (!confirm(`${v.verb} of ${v.section}?`)) return
    try {
      results.set(id, await post(`/v1/${encodeURIComponent(v.section)}/${encodeURIComponent(v.verb)}`, params))
    } catch (e) {
      results.set(id, [e.message, e.hint].filter(Boolean).join(': '))
    }
    ctx.redraw()
  }
  const r = results.get(id)
  return h('form', { key: id, class: 'bar verb', onsubmit: run }, (v.params || []).map(p => h('label', { key: p }, p + ' ', h('input', { name: p }))), h('button', {}, v.verb), r !== undefined && h('pre', { tabindex: '0' }, typeof r === 'string' ? r : JSON.stringify(r, null, 1)))
}
