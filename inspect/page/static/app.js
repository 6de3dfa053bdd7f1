// The frame of the page: where one is, what all pages share, and the time line under them.
import { h, patch } from './dom.js'
import { get, follow } from './api.js'
import { clock, ago, now } from './words.js'
import { samples, sample } from './samples.js'
import { asks } from './draw.js'
import { pages, shown } from './pages.js'
import { state, go, link, many, named, shortActor, trouble } from './state.js'

const HOUR = 3600e3

let page = null // { name, arg, query, view, problem, close }
let nowhere = null // says that the address is of no page
let help = false
let chosen = -1 // event of the time line under the cursor
let version = 0 // of the events

const root = document.getElementById('app')
let planned = false
let seen = false // where one is, in the list of pages
const drawn = [] // milliseconds of script of the last updates
function redraw() {
  if (planned) return
  planned = true
  requestAnimationFrame(() => {
    planned = false
    const began = performance.now()
    patch(root, frame())
    if (!seen) root.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' }) // a narrow page has not room for all
    seen = true
    drawn.push(performance.now() - began)
    if (drawn.length > 1000) drawn.shift()
  })
}

const decoded = text => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function open() {
  const [path, query = ''] = location.hash.slice(1).split('?')
  const parts = path.split('/').filter(Boolean).map(decoded)
  const there = Object.hasOwn(pages, parts[0])
  const takes = there && (pages[parts[0]].under || parts[0] === 'doctor') // it is about something
  const rest = parts.slice(1).join('/')
  const name = !there ? 'overview' : pages[parts[0]].under && !rest ? pages[parts[0]].under : parts[0]
  const arg = takes ? rest : ''
  nowhere = parts.length && (!there || (rest && !takes)) ? { message: `There is no page ${parts.join('/').slice(0, 60)}.`, hint: `this is the page ${pages[name].title}` } : null
  if (page && page.name === name && page.arg === arg && page.query === query) return redraw()
  const first = !page
  if (page) page.close()
  const stop = new AbortController()
  page = { name, arg, query, close: () => stop.abort() }
  const mine = page
  const ctx = {
    arg,
    query: new URLSearchParams(query),
    signal: stop.signal,
    redraw: () => page === mine && redraw(),
    // every asks again and again, while the page is seen; what fails is shown, and asked again.
    every(ms, load) {
      const again = async () => {
        if (stop.signal.aborted || state.over) return
        if (!document.hidden) {
          try {
            await load()
            mine.problem = null
          } catch (e) {
            if (stop.signal.aborted) return
            over(e)
            mine.problem = e
          }
          ctx.redraw()
        }
        setTimeout(again, ms)
      }
      again()
    },
    // waits is shown before the first answer.
    waits: () => (mine.problem ? null : asks()),
    get: (path, params) => get(path, params, { signal: stop.signal }),
  }
  page.view = pages[name].open(ctx)
  seen = false
  document.title = `${pages[name].title}${arg ? ' ' + named(shortActor(arg)) : ''} – Gamelan`
  const main = document.getElementById('main')
  if (main) {
    main.scrollTop = 0
    if (!first) main.focus({ preventScroll: true })
  }
  redraw()
}

// over notes that the session has ended: then nothing is asked any more.
function over(e) {
  if (e.status === 401) state.over = true
}

const ended = { message: 'This session is over.', hint: 'Open the page again: gamelan ui gives a new link.' }

// content is what the page shows; a fault of the page itself is shown, too.
function content() {
  try {
    return page.view()
  } catch (e) {
    console.error(e)
    return trouble({ message: 'This page has a fault: ' + e.message, hint: 'go to another one, or load it again' })
  }
}

function frame() {
  const n = state.node
  const top = pages[page.name]
  const old = n && now() - state.seen > 5000
  const wrong = state.over ? ended : state.error || (page.problem?.code !== 'gone' && page.problem)
  const away = top.under && wrong?.status === 404 && { message: wrong.message, hint: ['see the page ', link('/' + top.under, pages[top.under].title)] } // the hint is for programs
  return [
    h('header', { class: 'top' },
      h('a', { class: 'mark', href: '#/' }, h('span', { class: 'dot ' + mood() }), h('b', {}, 'Gamelan')),
      h('span', { class: 'who' }, n ? [h('b', {}, n.status), ' on ', n.network, attention(), old && h('b', { class: 'warn' }, ` as of ${clock(state.seen)}`)] : wrong ? h('b', { class: 'bad' }, 'no answer') : 'asks the node …'),
      n && h('span', { class: 'key wide', title: n.public_key }, n.public_key.slice(0, 16)),
      h('button', { class: 'plain', onclick: () => { help = !help; redraw() }, 'aria-expanded': String(help), 'aria-label': 'Keys', title: 'Keys (?)' }, '?')),
    h('nav', { 'aria-label': 'Pages' },
      shown.map((name, i) => h('a', {
        key: name, href: '#/' + (name === 'overview' ? '' : name), 'aria-current': (pages[page.name].under || page.name) === name && 'page',
      }, pages[name].title, h('kbd', { 'aria-hidden': 'true' }, i === 9 ? '0' : i + 1)))),
    h('main', { id: 'main', tabindex: '-1' },
      h('h1', { class: page.name === 'overview' ? 'unseen' : '' }, top.title, page.arg && !top.own ? h('span', { class: 'arg' }, ' ', named(shortActor(page.arg))) : null),
      h('div', { key: 'wrong' }, (wrong || nowhere) && trouble(away || wrong || nowhere)),
      h('div', { key: `${page.name}/${page.arg}?${page.query}`, class: 'page' }, page.view && content())),
    timeline(),
    help && keys(),
  ]
}

const attention = () => {
  const is = state.health?.state
  return is && is !== 'ok' ? h('span', { class: is === 'failed' ? 'bad' : 'warn' }, `, ${is}`) : null
}

function mood() {
  if (state.over || state.error || !state.node) return 'none'
  return { failed: 'bad', degraded: 'warn' }[state.health?.state] || 'ok'
}

const placed = e => 100 * (1 - (now() - Date.parse(e.at)) / HOUR)

// ticks are drawn again when there is another event or choice, or a second has passed.
let ticked = { of: '', list: [] }
function ticks() {
  const of = `${version} ${chosen} ${Math.floor(now() / 1000)}`
  if (ticked.of !== of) ticked = { of, list: state.events.map((e, i) => h('i', { key: e.id, class: e.severity + (i === chosen ? ' chosen' : ''), at: { left: placed(e).toFixed(2) + '%' } })) }
  return ticked.list
}

function timeline() {
  const list = state.events
  const e = list[chosen]
  const last = list[list.length - 1]
  const move = to => { chosen = Math.max(0, Math.min(list.length - 1, to)); redraw() }
  return h('section', { class: 'time', 'aria-label': 'Events of the last hour' },
    h('p', { class: 'told', 'aria-live': e ? 'polite' : 'off' }, e ? [h('b', {}, clock(e.at)), ' ', named(e.what)] :
      last ? [many(), ' in the last hour; the last one ', ago(last.at), ' ago: ', named(last.what)] : state.heard ? 'no events in the last hour' : 'The page asks the node …',
    state.deaf && h('b', { class: 'warn' }, ' New ones do not come: ', state.deaf.message)),
    h('div', {
      class: 'strip', role: 'slider', tabindex: '0', 'aria-label': 'Event', 'aria-valuemin': '0', 'aria-valuemax': String(Math.max(0, list.length - 1)),
      'aria-valuenow': String(Math.max(0, chosen)), 'aria-valuetext': e ? clock(e.at) + ' ' + named(e.what) : 'none chosen',
      onkeydown: k => {
        const to = { ArrowLeft: chosen < 0 ? list.length - 1 : chosen - 1, ArrowRight: chosen + 1, Home: 0, End: list.length - 1 }[k.key]
        if (to !== undefined && last) move(to)
        else if (k.key === 'Enter' && list[chosen]) go('/events?at=' + list[chosen].at) // as it is now, not as it was drawn
        else return
        k.preventDefault()
      },
      onblur: () => { chosen = -1; redraw() },
      onmouseleave: () => { if (document.activeElement?.className !== 'strip') { chosen = -1; redraw() } },
      onmousemove: m => {
        const box = m.currentTarget.getBoundingClientRect()
        const x = 100 * (m.clientX - box.left) / box.width
        let best = -1
        list.forEach((e, i) => { if (Math.abs(placed(e) - x) < 2 && (best < 0 || Math.abs(placed(e) - x) <= Math.abs(placed(list[best]) - x))) best = i })
        if (best !== chosen) { chosen = best; redraw() }
      },
      onclick: () => list[chosen] && go('/events?at=' + list[chosen].at),
    },
    [15, 30, 45].map(m => h('span', { class: 'quarter', key: 'q' + m, at: { left: 100 * (1 - m / 60) + '%' } }, m + ' min ago')), ticks()))
}

function keys() {
  const rows = [['1 … 9', 'a page'], ['/', 'the search of the page'], ['j, k', 'the next or the last link of a list'], ['Enter', 'open it'], ['← → ↑ ↓', 'in the tree, and on the time line'], ['?', 'this list'], ['Esc', 'close it']]
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
    const rows = [...document.querySelectorAll('main tbody tr')].map(r => r.querySelector('a')).filter(Boolean)
    const i = rows.indexOf(document.activeElement)
    rows[Math.max(0, Math.min(rows.length - 1, k.key === 'j' ? i + 1 : i - 1))]?.focus()
  } else return
  k.preventDefault()
})

// took adds an event to those of the last hour. One without an id says that others are lost.
function took(e) {
  if (!e.id) {
    if (!e.data?.lost) forget() // another history
    e = { ...e, id: 'lost ' + version, at: new Date(now()).toISOString() }
  } else state.next = e.id
  if (state.ids.has(e.id)) return
  state.ids.add(e.id)
  state.events.push(e)
  version++
  redraw()
}

function forget() {
  state.events = []
  state.ids = new Set()
  version++
}

// prune drops what is older than an hour, or too much.
function prune() {
  const from = now() - HOUR
  while (state.events.length > 2000 || (state.events.length && Date.parse(state.events[0].at) < from)) {
    state.partial = Date.parse(state.events[0].at) >= from
    state.ids.delete(state.events.shift().id)
    if (chosen >= 0) chosen--
    version++
  }
}

const pause = ms => new Promise(r => setTimeout(r, ms))

// visible waits until the page is seen.
const visible = () => new Promise(r => {
  if (!document.hidden) return r()
  document.addEventListener('visibilitychange', () => r(), { once: true })
})

// watchEvents follows the events while the page is seen: a browser has few connections for all its tabs.
async function watchEvents() {
  while (!state.over) {
    await visible()
    const stop = new AbortController()
    const hide = () => document.hidden && stop.abort()
    document.addEventListener('visibilitychange', hide)
    try {
      if (!state.next) {
        const all = await get('/v1/events', { from: new Date(now() - HOUR).toISOString(), limit: 1000 })
        all.items.forEach(took)
        state.next = all.next
        state.heard = true
        state.partial = !!all.earlier
      }
      await follow({ since: state.next }, e => { state.deaf = null; took(e) }, stop.signal)
      state.deaf = null
    } catch (e) {
      over(e)
      if (e.status === 404) {
        state.heard = true
        return
      }
      state.deaf = stop.signal.aborted || e.code === 'gone' ? null : e
    }
    document.removeEventListener('visibilitychange', hide)
    await pause(1000)
  }
}

async function watchNode() {
  for (let round = 0; !state.over; round++) {
    await visible()
    try {
      if (!state.session || round % 30 === 0) await session()
      const [node, traffic, health, deep] = await Promise.all([get('/v1/node'), get('/v1/traffic'), get('/healthz'), get('/v1/actors', { sort: 'depth', limit: 50 })])
      state.node = node
      state.health = health
      state.seen = now()
      sample(node, traffic, deep)
      state.error = null
    } catch (e) {
      over(e)
      state.error = e
    }
    prune()
    redraw()
    await pause(1000)
  }
  redraw()
}

// session is who looks, and the names of peers; a program that serves the page may have none.
async function session() {
  state.sections = new Set((await get('/v1/sections', { limit: 1000 })).items)
  try {
    const s = await get('/session')
    state.scope = s.scope
    state.private = s.private
    state.names = s.names || {}
  } catch (e) {
    if (e.status !== 404) throw e
  }
  state.session = true
}

document.querySelector('.skip').addEventListener('click', e => {
  e.preventDefault()
  document.getElementById('main')?.focus()
})
window.gamelan = { state, samples, drawn } // for those who look from the browser's console
window.addEventListener('hashchange', open)
document.addEventListener('visibilitychange', redraw)
open()
watchNode()
watchEvents()
setInterval(redraw, 1000) // ages grow, and what is old says so
