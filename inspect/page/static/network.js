// The network as this node knows it: who is connected through what, and who is near.
import { h } from './dom.js'
import { ago, count, now, plural, address } from './words.js'
import { facts, table } from './draw.js'
import { state, go, named, peerLink, peerName } from './state.js'
import { stateOf } from './peers.js'

export const title = 'Network'
const MOST = 160 // peers that are drawn
const C = 360 // centre of the drawing

// shared is how many first bits two ids have in common, with a fraction for what follows.
export function shared(a, b) {
  const x = parseInt(a.slice(0, 13), 16), y = parseInt(b.slice(0, 13), 16)
  // XOR of 52 bits in two halves, since the operator takes 32
  const high = (Math.floor(x / 2 ** 26) ^ Math.floor(y / 2 ** 26)) >>> 0
  const low = ((x % 2 ** 26) ^ (y % 2 ** 26)) >>> 0
  const d = high * 2 ** 26 + low
  return d === 0 ? 52 : 52 - Math.log2(d + 1)
}

const through = c => !c ? '' : c.transport === 'onion' || /onion/.test(c.remote) ? 'Tor' : c.transport || 'tcp'

export function open(ctx) {
  let peers = [], total = 0, conns = new Map(), net = null
  ctx.every(2000, async () => {
    const [p, c, n] = await Promise.all([ctx.get('/v1/peers', { limit: 1000 }), ctx.get('/v1/connections', { state: 'open', limit: 1000 }), ctx.get('/v1/network')])
    total = p.total
    conns = new Map(c.items.map(c => [c.peer, c]))
    peers = p.items
    net = n
  })
  return () => {
    const me = state.node
    if (!me || !net) return ctx.waits()
    const wanted = new Set((net.neighbours?.members || []).map(m => m.node_id))
    const known = new Set(peers.map(p => p.node_id))
    const all = peers.concat([...conns.keys()].filter(id => !known.has(id)).map(id => ({ node_id: id })))
    const every = all.map(p => ({ p, id: p.node_id, conn: conns.get(p.node_id), near: wanted.has(p.node_id), bits: shared(me.node_id, p.node_id), seed: (net.seeds || []).some(s => s.node_id === p.node_id) }))
    const drawn = [...every].sort((a, b) => !!b.conn - !!a.conn || b.near - a.near || b.bits - a.bits).slice(0, MOST).sort((a, b) => a.id.localeCompare(b.id))
    const far = Math.max(4, ...drawn.map(d => d.bits))
    drawn.forEach((d, i) => {
      const angle = 2 * Math.PI * (i + 0.5) / drawn.length - Math.PI / 2
      d.r = 90 + 190 * (1 - d.bits / far)
      d.x = C + d.r * Math.cos(angle)
      d.y = C + d.r * Math.sin(angle)
      d.right = Math.cos(angle) >= 0
    })
    const kind = d => d.p.banned_until && Date.parse(d.p.banned_until) > now() ? 'banned' : d.conn ? 'connected' : stateOf(d.p)
    const say = d => `${peerName(d.id)}, ${kind(d)}${d.conn ? ` ${d.conn.direction} through ${through(d.conn)}` : ''}${d.near ? ', a neighbour' : ''}${d.seed ? ', a seed' : ''}`
    return [
      h('p', { class: 'cause' }, net.summary || '', total > drawn.length ? h('span', { class: 'quiet' }, ` ${drawn.length} of ${count(total)} are drawn.`) : ''),
      h('div', { class: 'columns net' },
        h('svg', { class: 'netmap', viewBox: '-110 60 940 600', role: 'group', 'aria-label': `This node and ${plural(drawn.length, 'peer')}, nearer ones closer to the middle` },
          [90, 153, 217, 280].map(r => h('circle', { key: r, class: 'ring', cx: C, cy: C, r })),
          drawn.filter(d => d.conn).map(d => h('line', { key: 'l' + d.id, class: `edge ${d.conn.direction} ${through(d.conn) === 'Tor' ? 'tor' : ''} ${d.near ? 'near' : ''}`, x1: C, y1: C, x2: d.x.toFixed(1), y2: d.y.toFixed(1) })),
          h('g', { class: 'me' }, h('circle', { cx: C, cy: C, r: 13 }), h('text', { x: C, y: C + 36, class: 'mid' }, 'this node')),
          drawn.map(d => h('g', { key: d.id, class: `peer ${kind(d)} ${d.near ? 'near' : ''}`, tabindex: '0', role: 'link', onclick: () => go('/peer/' + d.id), onkeydown: k => k.key === 'Enter' && go('/peer/' + d.id) },
            h('title', {}, say(d)), h('circle', { cx: d.x.toFixed(1), cy: d.y.toFixed(1), r: d.seed ? 10 : 7 }),
            (drawn.length <= 40 || d.conn) && h('text', { x: (d.x + (d.right ? 14 : -14)).toFixed(1), y: (d.y + 5).toFixed(1), class: d.right ? '' : 'end' }, peerName(d.id))))),
        h('div', {},
          h('ul', { class: 'legend', 'aria-label': 'Signs' },
            h('li', {}, h('i', { class: 'sign connected' }), 'connected'), h('li', {}, h('i', { class: 'sign known' }), 'known'), h('li', {}, h('i', { class: 'sign away' }), 'away'), h('li', {}, h('i', { class: 'sign banned' }), 'banned'),
            h('li', {}, h('i', { class: 'stroke near' }), 'a neighbour'), h('li', {}, h('i', { class: 'stroke' }), 'another'), h('li', {}, h('i', { class: 'stroke tor' }), 'through Tor'), h('li', {}, 'Large: a seed. Nearer the middle: nearer in the DHT.')),
          facts([
            ['neighbours', `${(net.neighbours?.members || []).filter(m => m.connected).length} of ${net.neighbours?.target} wanted`],
            ['random peers', `${(net.random?.members || []).filter(m => m.connected).length} of ${net.random?.target} wanted`],
            ['announced', net.join?.last_at ? `${ago(net.join.last_at)} ago, to ${plural(net.join.nodes, 'node')}` : 'never'],
            ['asked for peers', net.sync?.last_at ? `${ago(net.sync.last_at)} ago: ${plural(net.sync.asked, 'node')}, ${net.sync.answered} answered` : 'never'],
            ['heard of', count(net.join?.heard || 0)],
          ]))),
      h('section', {}, h('h2', {}, 'Seeds'), table([['seed', s => peerLink(s.node_id)], ['state', s => s.connected ? h('span', { class: 'ok' }, 'connected') : s.answered ? 'has answered' : h('span', { class: 'warn' }, 'silent')], ['asked', s => (s.asked_at ? ago(s.asked_at) + ' ago' : 'never'), 'n'], ['error', s => named(s.error), 'wide']], net.seeds || [], { key: s => s.node_id, empty: 'The settings name none.', caption: 'Seeds' })),
      h('section', {}, h('h2', {}, 'Neighbours by distance'), table([
        ['peer', d => peerLink(d.id)], ['state', kind], ['bits in common', d => d.bits.toFixed(1), 'n'], ['through', d => through(d.conn)], ['address', d => address(d.conn?.remote || d.p.addresses?.[0]?.addr), 'wide'],
      ], every.sort((a, b) => b.bits - a.bits).slice(0, 20), { key: d => d.id, empty: 'No peer is known.', caption: 'Neighbours by distance' })),
    ]
  }
}
