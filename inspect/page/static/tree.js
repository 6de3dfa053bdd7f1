// Every actor, where it stands, and what it does now. A worker asks the node and sorts, so that the page draws only what is seen.
import { h } from './dom.js'
import { count, span } from './words.js'
import { meter } from './draw.js'
import { go, shortActor } from './state.js'

export const title = 'Tree'
const ROW = 28

export function open(ctx) {
  const worker = new Worker('treeworker.js')
  ctx.signal.addEventListener('abort', () => worker.terminate())
  const view = { closed: [], opened: [], search: '', wrong: false, from: 0, rows: 60, hidden: document.hidden }
  let got = null, chosen = '', box = null
  const ask = change => { Object.assign(view, change); worker.postMessage(view) }
  worker.onmessage = m => { got = m.data; ctx.redraw() }
  worker.onerror = e => { got = { ...(got || { rows: [], from: 0, shown: 0, actors: 0 }), problem: 'the tree is not asked for: ' + e.message }; ctx.redraw() }
  document.addEventListener('visibilitychange', () => ask({ hidden: document.hidden }), { signal: ctx.signal })
  ask({})

  const toggle = r => {
    const opened = new Set(view.opened), closed = new Set(view.closed)
    ;(r.open ? opened : closed).delete(r.id)
    ;(r.open ? closed : opened).add(r.id)
    ask({ opened: [...opened], closed: [...closed] })
  }
  const seen = () => {
    const from = Math.max(0, Math.floor(box.scrollTop / ROW) - 10)
    const rows = Math.ceil(box.clientHeight / ROW) + 20
    if (from !== view.from || rows !== view.rows) ask({ from, rows })
  }
  const keyed = k => {
    const rows = got?.rows || []
    const i = rows.findIndex(r => r.id === chosen)
    const r = rows[i]
    const to = n => {
      const next = rows[n]
      if (!next) return
      chosen = next.id
      const y = (got.from + n) * ROW
      if (y < box.scrollTop) box.scrollTop = y
      else if (y + ROW > box.scrollTop + box.clientHeight) box.scrollTop = y + ROW - box.clientHeight
      ctx.redraw()
    }
    switch (k.key) {
      case 'ArrowDown': to(i + 1); break
      case 'ArrowUp': to(Math.max(0, i - 1)); break
      case 'ArrowRight': if (r && r.children && !r.open) toggle(r); else to(i + 1); break
      case 'ArrowLeft': if (r && r.open) toggle(r); else to(rows.findIndex(x => r && x.id === r.parent)); break
      case 'Enter': if (r) open(r); break
      default: return
    }
    k.preventDefault()
  }
  const open = r => go('/actor/' + r.id.split('/').map(encodeURIComponent).join('/'))

  return () => [
    h('div', { class: 'bar' },
      h('input', { type: 'search', placeholder: 'search: a name, a type, a state', 'aria-label': 'Search actors', value: view.search, oninput: e => ask({ search: e.target.value, from: 0 }) }),
      h('label', {}, h('input', { type: 'checkbox', checked: view.wrong, onchange: e => ask({ wrong: e.target.checked, from: 0 }) }), ' only stuck, failed, queued'),
      got && h('span', { class: 'quiet', role: 'status' }, got.filter ? `${count(got.shown)} rows of ${count(got.actors)} actors` : `${count(got.actors)} actors`)),
    h('div', { key: 'problem' }, got?.problem && h('p', { class: 'notice bad', role: 'alert' }, h('b', {}, got.problem))),
    h('div', { key: 'head', class: 'treehead', 'aria-hidden': 'true' }, h('span', {}, 'actor'), h('span', { class: 'n' }, 'queue'), h('span', { class: 'n' }, 'rate'), h('span', { class: 'n' }, 'busy'), h('span', { class: 'n' }, 'restarts'), h('span', { class: 'line' }, 'now')),
    h('div', {
      key: 'tree', class: 'tree', role: 'tree', tabindex: '0', 'aria-label': 'Actors', 'aria-activedescendant': got?.rows.some(r => r.id === chosen) ? 'row-' + chosen : null,
      onscroll: seen, onkeydown: keyed, made: node => { box = node; new ResizeObserver(seen).observe(node) },
    },
    h('div', { class: 'space', role: 'presentation', at: { height: (got?.shown || 0) * ROW + 'px' } },
      (got?.rows || []).map((r, i) => h('div', {
        key: r.id, id: 'row-' + r.id, role: 'treeitem', 'aria-level': String(r.level + 1), 'aria-posinset': String(r.at), 'aria-setsize': String(r.of), 'aria-expanded': r.children ? String(!!r.open) : null, 'aria-selected': String(r.id === chosen),
        class: 'row ' + r.state + (r.id === chosen ? ' chosen' : '') + (r.fresh ? ' fresh' : ''), at: { top: (got.from + i) * ROW + 'px', '--level': String(Math.min(r.level, 8)) },
        onclick: e => { chosen = r.id; if (e.target.className === 'fold') toggle(r); else if (e.detail > 1 || e.target.className === 'name') open(r); ctx.redraw() },
      },
      h('span', { class: 'what' }, h('span', { class: 'fold', 'aria-hidden': 'true' }, r.children ? (r.open ? '▾' : '▸') : ''),
        h('span', { class: 'name' }, r.level ? r.name : shortActor(r.name)), r.state !== 'running' && r.state !== 'busy' && h('span', { class: 'mark' }, r.state.replace('_', ' ')),
        r.trouble && h('span', { class: 'mark below' }, r.trouble),
        r.children && !r.open ? h('span', { class: 'quiet' }, ` ${count(r.children)} below`) : null,
        r.more && h('span', { class: 'warn' }, ' ' + r.more)),
      h('span', { class: 'n' }, r.depth ? [count(r.depth), r.oldest > 1000 ? h('small', {}, ' ' + span(r.oldest)) : null] : '·'),
      h('span', { class: 'n' }, r.rate >= 0.05 ? count(r.rate) + '/s' : '·'),
      h('span', { class: 'n' }, r.busy >= 0.5 ? [meter(r.busy / 100), ' ' + count(Math.round(r.busy)) + ' %'] : '·'),
      h('span', { class: 'n' + (r.restarts ? ' warn' : '') }, r.restarts ? count(r.restarts) : '·'),
      h('span', { class: 'line', title: r.line }, r.line))))),
  ]
}
