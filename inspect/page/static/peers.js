// Whom the node knows, and for each: is it connected, and if not, why?
import { h } from './dom.js'
import { post } from './api.js'
import { ago, address, clock, now, plural, span } from './words.js'
import { facts, table } from './draw.js'
import { state, acts, go, named, peerName, peerLink, doing, said } from './state.js'

export const stateOf = (p, dials) => p.connection ? 'connected' : p.banned_until && Date.parse(p.banned_until) > now() ? 'banned' : dials?.has(p.node_id) ? 'dialling' : p.offline_since || p.ended_at || lastOf(p).failures ? 'away' : 'known' // as gamelan peers has it
const lastOf = p => (p.addresses || []).reduce((a, b) => (a.last_ok || '') >= (b.last_ok || '') ? a : b, {})
const seen = p => p.connection ? 'now' : lastOf(p).last_ok ? ago(lastOf(p).last_ok) : 'never'

export const peers = {
  title: 'Peers',
  open(ctx) {
    let list = null, rest = [], whole = 0, total = 0, search = '', open = new Map()
    ctx.every(2000, async () => {
      const [p, c] = await Promise.all([ctx.get('/v1/peers', { limit: 1000 }), ctx.get('/v1/connections', { state: 'open', limit: 1000 })])
      list = p.items
      total = p.total
      open = new Map(c.items.map(c => [c.peer, c]))
      if (search && total > list.length && now() - whole > 60e3) { // the others are asked for when somebody searches
        const all = []
        while (search && list.length + all.length < total) {
          const { items } = await ctx.get('/v1/peers', { limit: 1000, offset: list.length + all.length })
          if (!items.length) break
          all.push(...items)
        }
        if (!search) return
        rest = all
        whole = now()
      }
    })
    // known are the peers that the node has told, and those that are connected.
    const known = () => {
      const all = new Map([...open.values()].map(c => [c.peer, { node_id: c.peer, connection: c, addresses: [{ addr: c.remote }] }]))
      for (const p of rest.concat(list)) all.set(p.node_id, p)
      return [...all.values()]
    }
    const rank = { connected: 0, dialling: 1, banned: 2, away: 3, known: 4 }
    return () => {
      const fits = p => !search || `${peerName(p.node_id)} ${p.node_id} ${p.public_key} ${p.user_agent} ${(p.addresses || []).map(a => a.addr).join(' ')} ${stateOf(p)}`.toLowerCase().includes(search.toLowerCase())
      const rows = list && known().filter(fits).sort((a, b) => rank[stateOf(a)] - rank[stateOf(b)] || peerName(a.node_id).localeCompare(peerName(b.node_id)))
      return [
        h('div', { class: 'bar' }, h('input', { type: 'search', placeholder: 'search: a name, a key, an address, a state', 'aria-label': 'Search peers', value: search, oninput: e => { search = e.target.value; ctx.redraw() } }),
          h('span', { class: 'quiet', role: 'status' }, rows && (rows.length === total ? plural(total, 'peer') : `${rows.length} of ${plural(total, 'peer')}`))),
        table([
          ['peer', p => peerLink(p.node_id)],
          ['state', p => h('span', { class: { connected: 'ok', banned: 'bad', away: 'warn' }[stateOf(p)] }, stateOf(p))],
          ['seen', seen, 'n'],
          ['rtt', p => (open.get(p.node_id)?.rtt_ms ? span(open.get(p.node_id).rtt_ms) : ''), 'n'],
          ['address', p => address(lastOf(p).addr || p.addresses?.[0]?.addr)],
          ['program', p => p.user_agent || '', 'wide'],
        ], rows?.length || !search || list?.length === total || whole ? rows : null, { key: p => p.node_id, empty: total ? 'None of them fits the search.' : 'The node knows no peer. Give it a seed: gamelan peers add KEY::ADDRESS', caption: 'Peers' }),
      ]
    }
  },
}

export const peer = {
  title: 'Peer',
  under: 'peers',
  own: true,
  open(ctx) {
    let p = null, conn = null, ended = [], happened = []
    ctx.every(2000, async () => {
      const [q, open, closed, events] = await Promise.all([ctx.get('/v1/peers/' + encodeURIComponent(ctx.arg)), ctx.get('/v1/connections', { state: 'open', limit: 1000 }), ctx.get('/v1/connections', { state: 'closed', limit: 1000 }), ctx.get('/v1/events', { peer: ctx.arg, limit: 50 })])
      p = q
      conn = open.items.find(c => c.peer === p.node_id)
      ended = closed.items.filter(c => c.peer === p.node_id)
      happened = events.items.reverse()
    })
    return () => {
      if (!p) return ctx.waits()
      const is = stateOf(p)
      const act = (verb, params) => () => post(`/v1/peers/${p.node_id}:${verb}`, params)
      return [
        h('section', { class: 'lead' }, h('p', { class: 'state ' + (is === 'connected' ? 'ok' : is === 'banned' ? 'bad' : 'warn') }, peerName(p.node_id), ' ', is),
          h('p', { class: 'cause' }, conn ? `${conn.direction} at ${address(conn.remote)} for ${span(conn.age_ms)}${conn.rtt_ms ? `, ${span(conn.rtt_ms)} away` : ''}` : is === 'banned' ? `until ${clock(p.banned_until)}: ${p.ban_reason || 'no reason given'}` : why(p, happened))),
        said(ctx),
        h('p', { class: 'acts' }, acts() && h('button', { class: 'main', onclick: () => { state.examine = p.node_id; go('/doctor/' + p.node_id) } }, conn ? 'Examine the way to it' : 'Why is it not connected?'),
          !conn && doing(ctx, 'Dial', () => 'Connected.', act('dial')),
          conn && doing(ctx, 'Ping', r => `It has answered after ${span(r.rtt_ms)}.`, act('ping', { timeout: '5s' })),
          conn && doing(ctx, 'Disconnect', () => 'Disconnected.', act('disconnect'), { ask: `Close the connection with ${peerName(p.node_id)}?` }),
          is !== 'banned' && doing(ctx, 'Ban for an hour', () => 'Banned for an hour.', act('ban', { for: '1h', reason: 'by hand' }), { ask: `Refuse ${peerName(p.node_id)} for an hour?` }),
          is === 'banned' && doing(ctx, 'Lift the ban', () => 'The ban is lifted.', act('unban'))),
        h('section', {}, h('h2', {}, 'Addresses'), table([
          ['address', a => address(a.addr)], ['reached', a => (a.last_ok ? ago(a.last_ok) + ' ago' : 'never'), 'n'], ['tried', a => plural(a.attempts, 'time') + (a.failures ? `, ${a.failures} failed` : ''), 'n'],
          ['source', a => a.source], ['last error', a => failure(a.last_error), 'wide'],
        ], p.addresses || [], { key: a => a.addr, empty: 'None is known.', caption: 'Addresses' })),
        h('section', {}, h('h2', {}, 'What has happened'), table([['at', e => clock(e.at)], ['event', e => h('span', { class: e.severity }, e.type)], ['what', e => named(e.what), 'wide']], happened, { key: e => e.id, caption: 'Events of the peer' })),
        ended.length > 0 && h('section', {}, h('h2', {}, 'Ended connections'), table([['ended', c => clock(c.closed_at)], ['lasted', c => span(c.age_ms), 'n'], ['by', c => c.closed_by || ''], ['why', c => c.close_reason || '', 'wide']], ended, { key: c => c.id, caption: 'Ended connections' })),
        h('section', {}, h('h2', {}, 'Who it is'), facts([['node id', h('span', { class: 'key' }, p.node_id)], ['public key', h('span', { class: 'key' }, p.public_key)], ['program', p.user_agent || '–'], ['takes part as', p.features || '–'], ['kept as', p.pool || '–'], ['known for', ago(p.added_at)], ['protocols', (p.protocols || []).join(', ') || '–']])),
      ]
    }
  },
}

// failure is the error of a dial without what its row says, and without what the system adds to it.
function failure(error) {
  const [what, ...step] = named(error).split('; ')
  return [h('span', { title: error }, what.replace(/^dial \S+: /, '').replace(/: (context deadline exceeded|dial (tcp|udp)).*$/, '')), step.length > 0 && h('span', { class: 'step' }, step.join('; '))]
}

// why says what is known without an examination.
function why(p, happened) {
  const failed = happened.find(e => e.type === 'dial.failed' || e.type === 'conn.closed')
  if (failed) return `${ago(failed.at)} ago: ${named(failed.what)}`
  return p.addresses?.length ? 'it was not dialled yet' : 'no address of it is known'
}
