// Examines the node, or the way to a peer: the steps as they pass or fail, one cause, one next step.
import { h } from './dom.js'
import { lines } from './api.js'
import { ago, span } from './words.js'
import { asks, notice } from './draw.js'
import { state, named, peerName, acts, trouble } from './state.js'

export const title = 'Doctor'
const SIGN = { ok: '✓', failed: '✗', warning: '!', skipped: '–', wrong: '✗', note: '·' }

export function open(ctx) {
  let peer = ctx.arg, steps = [], diagnosis = null, running = false, problem = null, last = null, told = false
  const stop = new AbortController()
  ctx.signal.addEventListener('abort', () => stop.abort())
  // The last examination is shown, unless it was of something else than this page.
  ctx.get('/v1/doctor').then(d => { told = true; if (d.diagnosis && !running && !steps.length && (!ctx.arg || JSON.stringify(d).includes(ctx.arg))) { last = d.at; steps = d.steps; diagnosis = d.diagnosis } ctx.redraw() }, e => { problem = e; ctx.redraw() })
  const run = async () => {
    if (running) return
    ;[steps, diagnosis, running, problem, last] = [[], null, true, null, null]
    ctx.redraw()
    try {
      await lines('/v1/doctor/examine', { peer: peer.trim() }, l => {
        if (l.step) steps.push(l.step)
        if (l.diagnosis) diagnosis = l.diagnosis
        ctx.redraw()
      }, stop.signal)
    } catch (e) {
      problem = e
    }
    running = false
    ctx.redraw()
  }
  if (ctx.arg && state.examine === ctx.arg) run() // an address alone, which may be of another page, makes the node do nothing
  state.examine = ''
  return () => [
    acts() ? h('form', { class: 'bar', onsubmit: e => { e.preventDefault(); run() } },
      h('input', { type: 'search', placeholder: 'a peer or an address; empty: this node', 'aria-label': 'Peer or address', value: peer, oninput: e => { peer = e.target.value } }),
      h('button', { class: 'main', disabled: running }, running ? 'Examines …' : 'Examine')) : h('p', { class: 'quiet' }, 'An examination needs the admin scope. This is the last one.'),
    problem && trouble(problem),
    diagnosis && h('section', { class: 'lead', role: 'status' },
      h('p', { class: 'state ' + (diagnosis.ok ? 'ok' : 'bad') }, named(diagnosis.what)),
      diagnosis.cause && h('p', { class: 'cause' }, h('b', {}, named(diagnosis.cause.what)), diagnosis.cause.step && h('span', { class: 'step' }, named(diagnosis.cause.step))),
      last && h('p', { class: 'quiet' }, `examined ${ago(last)} ago`)),
    steps.length > 0 && h('ol', { class: 'steps' }, steps.map((s, i) => h('li', { key: i, class: s.state },
      h('span', { class: 'sign', role: 'img', 'aria-label': s.state }, SIGN[s.state] || '·'), h('b', {}, s.step), h('span', { class: 'on' }, s.on ? (peerName(s.on) !== s.on.slice(0, 10) ? peerName(s.on) : s.on) : ''), h('span', { class: 'what' }, named(s.what), s.notice?.step ? h('span', { class: 'step' }, s.notice.step) : ''), h('span', { class: 'quiet n' }, s.took_ms >= 1 ? span(s.took_ms) : '')))),
    running && h('p', { class: 'quiet', role: 'status' }, 'The next step …'),
    diagnosis?.also?.length > 0 && h('section', {}, h('h2', {}, 'Also'), h('ul', { class: 'notices' }, diagnosis.also.map(n => notice(n)))),
    !running && !steps.length && !problem && (told ? h('p', { class: 'quiet' }, 'Nothing was examined yet.') : asks()),
  ]
}
