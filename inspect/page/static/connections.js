// Which connections there are, what passes through them, and why others have ended.
import { h } from './dom.js'
import { ago, address, bytes, clock, count, span } from './words.js'
import { table } from './draw.js'
import { actorLink, peerLink } from './state.js'

export const title = 'Connections'

export function open(ctx) {
  let live = null, closed = null, sort = 'age', unfolded = ''
  const before = new Map()
  ctx.every(1000, async () => {
    live = (await ctx.get('/v1/connections', { state: 'open', limit: 1000 })).items
    for (const c of live) {
      const b = before.get(c.id)
      const t = Date.now()
      if (b) c.rate = { in: Math.max(0, c.bytes_in - b.in) * 1000 / (t - b.t), out: Math.max(0, c.bytes_out - b.out) * 1000 / (t - b.t) }
      before.set(c.id, { in: c.bytes_in, out: c.bytes_out, t })
    }
    for (const id of before.keys()) if (!live.some(c => c.id === id)) before.delete(id)
  })
  ctx.every(3000, async () => { closed = (await ctx.get('/v1/connections', { state: 'closed', limit: 200 })).items })
  const by = { age: c => -c.age_ms, received: c => -c.bytes_in, sent: c => -c.bytes_out, rtt: c => -c.rtt_ms }
  return () => [
    h('div', { class: 'bar' }, h('label', {}, 'most ', h('select', { value: sort, onchange: e => { sort = e.target.value; ctx.redraw() } }, Object.keys(by).map(k => h('option', { key: k, value: k }, k)))),
      h('span', { class: 'quiet', role: 'status' }, live && `${count(live.filter(c => c.direction === 'inbound').length)} in, ${count(live.filter(c => c.direction === 'outbound').length)} out`)),
    table([
      ['peer', c => peerLink(c.peer)], ['direction', c => c.direction], ['age', c => span(c.age_ms), 'n'], ['rtt', c => (c.rtt_ms ? span(c.rtt_ms) : '–'), 'n'],
      ['received', c => [bytes(c.bytes_in), c.rate?.in >= 1 ? h('small', {}, ` ${bytes(c.rate.in)}/s`) : ''], 'n'], ['sent', c => [bytes(c.bytes_out), c.rate?.out >= 1 ? h('small', {}, ` ${bytes(c.rate.out)}/s`) : ''], 'n'],
      ['waiting', c => (c.pending_bytes ? bytes(c.pending_bytes) : ''), 'n'], ['address', c => address(c.remote)],
      ['substreams', c => c.substreams?.length ? h('button', { class: 'plain', 'aria-expanded': String(unfolded === c.id), onclick: () => { unfolded = unfolded === c.id ? '' : c.id; ctx.redraw() } }, c.substreams.length < 100 ? count(c.substreams.length) : '100 or more') : '0', 'n'],
      ['kept by', c => (c.protected || []).join(', '), 'wide'],
    ], live && [...live].sort((a, b) => by[sort](a) - by[sort](b)), { key: c => c.id, empty: 'No peer is connected.', caption: 'Live connections' }),
    live?.filter(c => c.id === unfolded).map(c => h('section', { key: c.id }, h('h2', {}, 'Substreams with ', peerLink(c.peer)), table([
      ['protocol', s => s.protocol || '–'], ['direction', s => s.direction || ''], ['owner', s => (s.owner_actor ? actorLink(s.owner_actor) : '')], ['age', s => (s.opened_at ? ago(s.opened_at) : ''), 'n'], ['received', s => bytes(s.bytes_in), 'n'], ['sent', s => bytes(s.bytes_out), 'n'],
    ], c.substreams, { key: s => s.id, caption: 'Substreams' }))),
    h('section', {}, h('h2', {}, 'Ended'), table([
      ['peer', c => peerLink(c.peer)], ['ended', c => clock(c.closed_at)], ['lasted', c => span(c.age_ms), 'n'], ['received', c => bytes(c.bytes_in), 'n'], ['sent', c => bytes(c.bytes_out), 'n'], ['by', c => c.closed_by || ''], ['why', c => c.close_reason || '', 'wide'],
    ], closed, { key: c => c.id, empty: 'None has ended.', caption: 'Ended connections' })),
  ]
}
