// What all pages share: what is known of the node, and links between pages.
import { h } from './dom.js'
import { plural } from './words.js'

export const state = {
  node: null,
  health: null,
  error: null, // why the node is not seen
  names: {}, // of peers, by node id
  scope: 'read',
  private: false, // contents of messages and values may pass
  session: false, // it is known who looks
  over: false, // the session has ended
  seen: 0, // when the node has answered last
  examine: '', // the peer that somebody wants to have examined
  sections: new Set(), // names of those that the node has
  events: [], // of the last hour, the oldest first
  heard: false, // the node has told them, or has none
  partial: false, // there were more
  deaf: null, // why those that come are not heard
  ids: new Set(), // theirs
  next: '', // id of the last one
}

// go opens an address such as /actor/node/conns.
export const go = to => { location.hash = '#' + to }
export const link = (to, ...what) => h('a', { href: '#' + to }, what)

export const shortActor = id => id.replace(/^gamelan-[0-9a-f]{16}\/(node\/)?/, '')
export const actorLink = (id, what) => link('/actor/' + id.split('/').map(encodeURIComponent).join('/'), what || shortActor(id))

export const peerName = id => state.names[id] || (id || '').slice(0, 10) || '–'
// named puts names in the place of node ids.
export const named = text => (text || '').replace(/\b[0-9a-f]{26}\b/g, id => state.names[id] || id)
export const peerLink = id => (id ? link('/peer/' + encodeURIComponent(id), peerName(id)) : '–')

// many is how many events of the last hour are known.
export const many = () => (state.partial ? 'at least ' : '') + plural(state.events.length, 'event')

// acts reports whether who looks may change the node.
export const acts = () => state.scope === 'admin'

export const trouble = e => h('p', { class: 'notice bad', role: 'alert' }, h('b', {}, e.message), e.hint && h('span', { class: 'step' }, e.hint))

// doing is a button that does something, and says how it went.
export function doing(ctx, what, done, run, { ask } = {}) {
  return acts() && h('button', {
    key: what,
    onclick: async () => {
      if (ask && !confirm(ask)) return
      try {
        ctx.said = { ok: true, what: done(await run()) }
      } catch (e) {
        ctx.said = { what: [e.message, e.hint].filter(Boolean).join(': ') }
      }
      ctx.redraw()
    },
  }, what)
}

export const said = ctx => ctx.said && h('p', { class: 'notice ' + (ctx.said.ok ? '' : 'bad'), role: 'status' }, ctx.said.what)
