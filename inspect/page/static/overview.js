// Is all well? If not: what is wrong, and what helps?
import { h } from './dom.js'
import { ago, bytes, count, now, plural, span, address } from './words.js'
import { samples } from './samples.js'
import { spark, asks, facts, notice, table } from './draw.js'
import { state, link, actorLink, shortActor } from './state.js'

export const title = 'Overview'

export function open(ctx) {
  let stuck = [], failures = [], dead = { items: [], total: 0 }, busiest = null
  ctx.every(2000, async () => {
    const all = await Promise.all([ctx.get('/v1/actors', { state: 'stuck', limit: 10 }), ctx.get('/v1/failures', { limit: 100 }), ctx.get('/v1/deadletters', { limit: 1000 }), ctx.get('/v1/actors', { sort: 'depth', limit: 6 })])
    ;[stuck, failures, , busiest] = all.map(a => a.items)
    dead = all[2]
  })
  const recent = list => list.filter(f => now() - Date.parse(f.at) < 3600e3)
  return () => {
    const n = state.node
    if (!n) return state.error ? null : asks()
    const troubles = [...told(n.warnings, state.health || {}, stuck, recent(failures)), ...letters(recent(dead.items), dead.items.length === 1000)]
    return [
      h('section', { class: 'lead' },
        h('p', { class: 'state ' + (n.status === 'online' ? 'ok' : n.status === 'offline' ? 'bad' : 'warn') }, n.status, h('span', { class: 'since' }, ' for ' + ago(n.since))),
        h('p', { class: 'cause' }, n.cause)),
      h('section', {}, h('h2', {}, 'Needs attention'), troubles.length ? h('ul', { class: 'notices' }, troubles) : busiest && !state.error ? h('p', { class: 'quiet' }, 'Nothing. All is well.') : asks()),
      h('section', { class: 'sparks', 'aria-label': 'The last five minutes' },
        card('Messages', ['messages in', 'messages out'], v => count(v) + '/s', ['in', 'out']),
        card('Bytes', ['bytes in', 'bytes out'], v => bytes(v) + '/s', ['in', 'out']),
        card('Confirmed', ['confirmed'], v => count(v) + '/s', ['']),
        card('Failed, in doubt', ['failed', 'in doubt'], v => count(v) + '/s', ['failed', 'in doubt']),
        card('Connections', ['inbound', 'outbound'], count, ['in', 'out']),
        card('Queued', ['queued', 'unread'], count, ['in actors', 'unread'])),
      h('section', {}, h('h2', {}, 'Longest queues'), table([
        ['actor', a => actorLink(a.id)],
        ['queue', a => count(a.mailbox.depth), 'n'],
        ['oldest', a => span(a.mailbox.oldest_age_ms), 'n'],
        ['rate', a => (a.rate_1m === undefined ? '–' : count(a.rate_1m) + '/s'), 'n'],
        ['on', a => (a.current ? `${a.current.message_type} for ${span(a.current.age_ms)}` : ''), 'wide'],
      ], busiest?.filter(a => a.mailbox.depth > 0), { key: a => a.id, empty: 'No actor has a message waiting.', caption: 'Longest queues' })),
      h('section', {}, h('h2', {}, 'This node'), facts([
        ['public key', h('span', { class: 'key' }, n.public_key)],
        ['network', n.network, n.profile === 'tari' ? '' : `, profile ${n.profile}`],
        ['running', `gamelan ${n.version} for ${ago(n.started_at)}, process ${n.pid}`],
        ['addresses', (n.addresses || []).map(address).join(', ') || 'none'],
        ['connected', `${plural(n.held, 'peer')}, of ${n.peers} known`],
        n.disk && ['disk', `${bytes(n.disk.free)} free`],
      ])),
    ]
  }
}

// told says each trouble once: what is known of an actor that is stuck or has failed says more than the warning.
function told(others, health, stuck, failures) {
  const key = w => JSON.stringify([w.code, w.args, w.code ? '' : w.what])
  const warnings = [...new Map([...health.degraded || [], ...others, ...health.warnings || []].map(w => [key(w), w])).values()]
  const about = w => w.args?.actor && shortActor(w.args.actor)
  const panicked = new Set(warnings.filter(w => w.code === 'own_panicked').map(about))
  const known = new Set([...stuck.map(a => shortActor(a.id)), ...failures.map(f => shortActor(f.actor)), ...panicked])
  const codes = new Set(warnings.map(w => w.code))
  const by = new Map() // the newest one comes first
  for (const f of failures) by.set(f.actor, [...(by.get(f.actor) || []), f])
  return [
    ...(health.reasons || []).filter(r => r.what && !codes.has(r.code)).map(r => notice({ ...r, severity: 'error' })),
    ...stuck.map(a => notice({ severity: 'error', what: `${shortActor(a.id)} is stuck${a.current ? ` on ${a.current.message_type} for ${span(a.current.age_ms)}` : ''}`, step: 'see where it waits:' }, actorLink(a.id))),
    ...[...by.values()].filter(([f]) => !panicked.has(shortActor(f.actor))).slice(0, 10).map(([f, ...more]) => notice({ severity: 'warning', what: `${shortActor(f.actor)} has failed ${more.length ? plural(more.length + 1, 'time') + ', the last time ' : ''}${ago(f.at)} ago: ${f.reason}`, step: f.where ? `at ${f.where}; see its stack:` : 'see its stack:' }, actorLink(f.actor))),
    ...warnings.filter(w => !(w.code.startsWith('actor_') && known.has(about(w)))).map(w => notice(w, w.args?.actor ? actorLink(w.args.actor) : w.program ? null : link('/doctor', 'examine'))),
  ]
}

// letters is one notice for all dead letters to one place; more says that there were more than are kept.
function letters(list, more) {
  const by = new Map()
  for (const l of list) by.set(l.target, [...(by.get(l.target) || []), l])
  return [...by].slice(0, 5).map(([target, ls]) => notice({
    severity: 'warning', what: `${more ? 'at least ' : ''}${plural(ls.length, 'message')} did not reach ${shortActor(target)}: ${ls[0].message_type}, ${ls[0].cause.replaceAll('_', ' ')}`,
    step: ls[0].sender ? 'sent by' : 'the message names no sender',
  }, ls[0].sender && actorLink(ls[0].sender)))
}

function card(name, series, say, words) {
  const last = series.map(s => samples.series[s]?.at(-1))
  return h('div', { class: 'card' }, h('h3', {}, name), spark(series, say),
    h('p', {}, series.map((s, i) => h('span', { class: 'leg s' + i }, last[i] === undefined ? '–' : say(last[i]), words[i] ? ' ' + words[i] : ''))))
}
