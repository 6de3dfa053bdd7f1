// What has happened, now and before: by time, kind and peer.
import { h } from './dom.js'
import { clock, plural } from './words.js'
import { table } from './draw.js'
import { state, named, peerLink, peerName } from './state.js'

export const title = 'Events'
const AROUND = 10 * 60e3

// local is a time as the field for times wants it.
const local = t => { const d = new Date(t); return Number.isNaN(+d) ? '' : new Date(d - d.getTimezoneOffset() * 60e3).toISOString().slice(0, 16) }

export function open(ctx) {
  let at = ctx.query.get('at'), found = null, kind = '', search = '', problem = null
  const load = async () => {
    found = problem = null
    if (at && Number.isNaN(Date.parse(at))) at = null
    if (at) {
      const t = Date.parse(at)
      try {
        found = await ctx.get('/v1/events', { from: new Date(t - AROUND).toISOString(), to: new Date(t + AROUND).toISOString(), limit: 1000 })
      } catch (e) {
        problem = e
      }
    }
    ctx.redraw()
  }
  load()
  return () => {
    const known = at ? found?.items : state.heard && state.events
    const list = known && known.filter(e => (!kind || e.type.startsWith(kind) || e.severity === kind) && (!search || `${e.what} ${e.type} ${e.code || ''} ${e.peer || ''} ${e.peer ? peerName(e.peer) : ''}`.toLowerCase().includes(search.toLowerCase())))
    return [
      h('div', { class: 'bar' },
        h('input', { type: 'search', placeholder: 'search: a word, a peer, a code', 'aria-label': 'Search events', value: search, oninput: e => { search = e.target.value; ctx.redraw() } }),
        h('label', {}, 'show ', h('select', { value: kind, onchange: e => { kind = e.target.value; ctx.redraw() } }, [['', 'all'], ['error', 'errors'], ['warning', 'warnings'], ['node', 'the node'], ['conn', 'connections'], ['dial', 'dials'], ['trouble', 'troubles'], ['actor', 'actors'], ['admin', 'acts']].map(([v, t]) => h('option', { key: v, value: v }, t)))),
        h('label', {}, 'around ', h('input', { type: 'datetime-local', value: at ? local(at) : '', onchange: e => { at = e.target.value ? new Date(e.target.value).toISOString() : null; load() } })),
        at && h('button', { onclick: () => { at = null; load() } }, 'The last hour')),
      problem && h('p', { class: 'notice bad' }, problem.message),
      h('p', { class: 'quiet', role: 'status' }, list && (at ? `${plural(list.length, 'event')} within ten minutes of ${clock(at)}` : `${state.partial ? 'at least ' : ''}${plural(list.length, 'event')} of the last hour, and those that come`), found?.lost ? `; ${found.lost} are gone` : ''),
      !problem && table([
        ['at', e => h('time', { datetime: e.at, title: e.at }, clock(e.at))], ['event', e => h('span', { class: e.severity }, e.type)], ['peer', e => (e.peer ? peerLink(e.peer) : '')],
        ['what', e => [named(e.what), e.code ? h('small', {}, ' ' + e.code) : ''], 'wide'],
      ], list && [...list].reverse().slice(0, 1000), { key: e => e.id, empty: 'None.', caption: 'Events', mood: e => (at && e.at === at ? 'chosen' : '') }),
    ]
  }
}
