// The frame of the page: where one is, what all pages share, and the time line under them.
import { h, patch } from './dom.js'
import { get, follow } from './api.js'
import { clock, ago, now, plural } from './words.js'
import { samples, sample } from './samples.js'
import { pages, shown } from './pages.js'
import { state, go, named, shortActor, trouble } from './state.js'

const HOUR = 3600e3

let page = null // { name, arg, query, view, close }
let help = false
let chosen = -1 // event of the time line under the cursor

const root = document.getElementById('app')
let planned = false
const drawn = [] // milliseconds of script of the last updates
function redraw() {
  if (planned) return
  planned = true
  requestAnimationFrame(() => {
    planned = false
    const began = performance.now()
    patch(root, frame())
    drawn.push(performance.now() - began)
    if (drawn.length > 1000) drawn.shift()
  })
}

function open() {
  const [path, query] = location.hash.slice(1).split('?')
  const parts = path.split('/').filter(Boolean).map(decodeURIComponent)
  const name = pages[parts[0]] ? parts[0] : 'overview'
  const arg = parts.slice(1).join('/')
  if (page && page.name === name && page.arg === arg && page.query === (query || '')) return
  if (page) page.close()
  const stop = new AbortController()
  page = { name, arg, query: query || '', close: () => stop.abort() }
  const mine = page
  const ctx = {
    arg,
    query: new URLSearchParams(query || ''),
    signal: stop.signal,
    redraw: () => page === mine && redraw(),
    // every asks again and again, while the page is seen; what fails is shown, and asked again.
    every(ms, load) {
      const again = async () => {
        if (stop.signal.aborted) return
        if (!document.hidden) {
          try {
            await load()
            mine.problem = null
          } catch (e) {
            if (stop.signal.aborted) return
            mine.problem = e
          }
          ctx.redraw()
        }
        setTimeout(again, ms)
      }
      again()
    },
  }
  page.view = pages[name].open(ctx)
  document.title = `${pages[name].title}${arg ? ' ' + shortActor(arg) : ''} – Gamelan`
  window.scrollTo(0, 0)
  redraw()
}

function frame() {
  const n = state.node
  const top = pages[page.name]
  return [
    h('header', { class: 'top' },
      h('a', { class: 'mark', href: '#/' }, h('span', { class: 'dot ' + mood() }), h('b', {}, 'Gamelan')),
      h('span', { class: 'who' }, n ? [h('b', {}, n.status), ' on ', n.network] : state.error ? h('b', { class: 'bad' }, 'no answer') : 'asks the node …'),
      n && h('span', { class: 'key wide', title: n.public_key }, n.public_key.slice(0, 16)),
      h('button', { class: 'plain', onclick: () => { help = !help; redraw() }, 'aria-expanded': String(help), title: 'Keys (?)' }, '?')),
    h('nav', { 'aria-label': 'Pages' },
      shown.map((name, i) => h('a', {
        key: name, href: '#/' + (name === 'overview' ? '' : name), 'aria-current': (pages[page.name].under || page.name) === name && 'page',
      }, pages[name].title, h('kbd', { 'aria-hidden': 'true' }, i === 9 ? '0' : i + 1)))),
    h('main', { id: 'main', tabindex: '-1' },
      h('h1', { class: page.name === 'overview' ? 'unseen' : '' }, top.title, page.arg && !top.own ? h('span', { class: 'arg' }, ' ', named(shortActor(page.arg))) : null),
      state.error && trouble(state.error),
      page.problem && page.problem.code !== 'gone' && trouble(page.problem),
      page.view && page.view()),
    timeline(),
    help && keys(),
  ]
}

function mood() {
  if (state.error || !state.node) return 'none'
  const w = state.health
  if (w && w.state === 'failed') return 'bad'
  if (w && w.state === 'degraded') return 'warn'
  return 'ok'
}

function timeline() {
  const end = now()
  const at = e => 100 * (1 - (end - Date.parse(e.at)) / HOUR)
  const list = state.events
  const e = list[chosen]
  const move = to => { chosen = Math.max(0, Math.min(list.length - 1, to)); redraw() }
  return h('section', { class: 'time', 'aria-label': 'Events of the last hour' },
    h('p', { class: 'told', 'aria-live': 'polite' }, e ? [h('b', {}, clock(e.at)), ' ', named(e.what)] :
      list.length ? [plural(list.length, 'event'), ' in the last hour; the last one ', ago(list[list.length - 1].at), ' ago: ', named(list[list.length - 1].what)] : 'no events in the last hour'),
    h('div', {
      class: 'strip', role: 'slider', tabindex: '0', 'aria-label': 'Event', 'aria-valuemin': '0', 'aria-valuemax': String(Math.max(0, list.length - 1)),
      'aria-valuenow': String(Math.max(0, chosen)), 'aria-valuetext': e ? clock(e.at) + ' ' + e.what : 'none chosen',
      onkeydown: k => {
        const to = { ArrowLeft: chosen < 0 ? list.length - 1 : chosen - 1, ArrowRight: chosen + 1, Home: 0, End: list.length - 1 }[k.key]
        if (to !== undefined) move(to)
        else if (k.key === 'Enter' && e) go('/events?at=' + e.at)
        else return
        k.preventDefault()
      },
      onblur: () => { chosen = -1; redraw() },
      onmouseleave: () => { if (document.activeElement?.className !== 'strip') { chosen = -1; redraw() } },
      onmousemove: m => {
        const box = m.currentTarget.getBoundingClientRect()
        const x = 100 * (m.clientX - box.left) / box.width
        let best = -1
        list.forEach((e, i) => { if (Math.abs(at(e) - x) < 2 && (best < 0 || Math.abs(at(e) - x) <= Math.abs(at(list[best]) - x))) best = i })
        if (best !== chosen) { chosen = best; redraw() }
      },
      onclick: () => e && go('/events?at=' + e.at),
    },
    [15, 30, 45].map(m => h('span', { class: 'quarter', key: 'q' + m, at: { left: 100 * (1 - m / 60) + '%' } }, m + ' min ago')),
    list.map((e, i) => h('i', { key: e.id, class: e.severity + (i === chosen ? ' chosen' : ''), at: { left: at(e).toFixed(2) + '%' } }))))
}

function keys() {
  const rows = [['1 … 9, 0', 'a page'], ['/', 'the search of the page'], ['j, k', 'the next or the last row'], ['Enter', 'open it'], ['← → ↑ ↓', 'in the tree, and on the time line'], ['?', 'this list'], ['Esc', 'close it']]
  return h('aside', { class: 'keys', 'aria-label': 'Keys' }, h('h2', {}, 'Keys'), h('dl', {}, rows.map(([k, what]) => [h('dt', {}, k), h('dd', {}, what)])))
}

document.addEventListener('keydown', k => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(k.target.tagName)
  if (k.key === 'Escape') {
    if (help) { help = false; redraw() } else if (typing) k.target.blur()
    return
  }
  if (typing || k.ctrlKey || k.metaKey || k.altKey) return
  const n = '1234567890'.indexOf(k.key)
  if (n >= 0 && shown[n]) go('/' + (n ? shown[n] : ''))
  else if (k.key === '?') { help = !help; redraw() }
  else if (k.key === '/') document.querySelector('main input[type=search]')?.focus()
  else if (k.key === 'j' || k.key === 'k') {
    const rows = [...document.querySelectorAll('main tbody a:first-of-type')].filter(a => a.closest('td') === a.closest('tr').cells[0])
    const i = rows.indexOf(document.activeElement)
    rows[Math.max(0, Math.min(rows.length - 1, k.key === 'j' ? i + 1 : i - 1))]?.focus()
  } else return
  k.preventDefault()
})

// took adds an event to those of the last hour.
function took(e) {
  if (!e.id || state.ids.has(e.id)) return
  state.ids.add(e.id)
  state.events.push(e)
  state.next = e.id
  const from = now() - HOUR
  while (state.events.length > 2000 || (state.events.length && Date.parse(state.events[0].at) < from)) state.ids.delete(state.events.shift().id)
  redraw()
}

const pause = ms => new Promise(r => setTimeout(r, ms))

async function watchEvents() {
  for (;;) {
    try {
      if (!state.next) {
        const all = await get('/v1/events', { from: new Date(now() - HOUR).toISOString(), limit: 1000 })
        all.items.forEach(took)
        state.next = all.next
      }
      await follow({ since: state.next }, took)
    } catch (e) {
      if (e.status === 404) return
    }
    await pause(2000)
  }
}

async function watchNode() {
  for (let round = 0; ; round++) {
    if (!document.hidden) {
      try {
        const [node, traffic, health, deep] = await Promise.all([get('/v1/node'), get('/v1/traffic'), get('/healthz'), get('/v1/actors', { sort: 'depth', limit: 50 })])
        state.node = node
        state.health = health
        sample(node, traffic, deep)
        if (round % 30 === 0) await session()
        state.error = null
      } catch (e) {
        state.error = e
      }
      redraw()
    }
    await pause(1000)
  }
}

// session is who looks, and the names of peers; a program that serves the page may have none.
async function session() {
  try {
    state.sections = new Set((await get('/v1/sections', { limit: 1000 })).items)
    const s = await get('/session')
    state.scope = s.scope
    state.names = s.names || {}
  } catch (e) {
    if (e.status === 401) throw e
  }
}

window.gamelan = { state, samples, drawn } // for those who look from the browser's console
window.addEventListener('hashchange', open)
document.addEventListener('visibilitychange', redraw)
open()
watchNode()
watchEvents()
