// One actor: what it does, what waits for it, how it has failed.
import { h } from './dom.js'
import { post, lines } from './api.js'
import { ago, clock, count, span } from './words.js'
import { facts, table, meter } from './draw.js'
import { actorLink, peerLink, peerName, doing, said, acts } from './state.js'

export const title = 'Actor'
export const under = 'tree'

export function open(ctx) {
  const path = ctx.arg.split('/').map(encodeURIComponent).join('/')
  let a = null, branch = null, failures = [], stacks = null, trace = null
  ctx.every(1000, async () => { a = await ctx.get('/v1/actors/' + path) })
  ctx.every(2000, async () => {
    const [t, f] = await Promise.all([ctx.get('/v1/tree', { path: ctx.arg, depth: 1 }), ctx.get('/v1/failures', { limit: 1000 })])
    branch = t.branches[0]
    failures = f.items.filter(f => a && f.actor === a.id)
  })
  const look = async () => {
    try {
      stacks = await ctx.get('/v1/actors/' + path + '/stacks')
    } catch (e) {
      ctx.said = { what: e.message }
    }
    ctx.redraw()
  }
  const follow = () => followed(ctx, 'actor', { path: ctx.arg, limit: 200, for: '30s' }, t => { trace = t })
  return () => {
    if (!a) return ctx.waits()
    const m = a.mailbox
    const children = branch && (branch.children || [])
    return [
      h('p', { class: 'crumbs' }, a.parent ? ['below ', actorLink(a.parent)] : 'the top of the tree', a.labels?.peer ? [' · with ', peerLink(a.labels.peer)] : '', a.labels?.protocol ? ` · ${a.labels.protocol}` : ''),
      h('section', { class: 'lead' }, h('p', { class: 'state ' + (['running', 'busy'].includes(a.state) ? 'ok' : ['stuck', 'failed'].includes(a.state) ? 'bad' : 'warn') }, a.state.replace('_', ' ')),
        h('p', { class: 'cause' }, a.current ? ['on ', h('b', {}, a.current.message_type), ` for ${span(a.current.age_ms)}`] : ['failed', 'suspended', 'backing_off'].includes(a.state) && a.last_failure ? a.last_failure.reason : a.line || 'waits for messages')),
      said(ctx),
      h('p', { class: 'acts' },
        doing(ctx, 'Restart', () => 'It has started again.', () => post('/v1/actors/restart', { path: ctx.arg }), { ask: `Restart ${ctx.arg}?` }),
        doing(ctx, 'Stop', () => 'It has stopped.', () => post('/v1/actors/stop', { path: ctx.arg }), { ask: `Stop ${ctx.arg}?` }),
        h('button', { onclick: look }, 'Show stacks'),
        acts() && h('button', { onclick: follow, disabled: trace?.on }, trace?.on ? 'Follows for 30 s' : 'Follow its messages')),
      h('div', { class: 'columns' },
        h('section', {}, h('h2', {}, 'Queue'), facts([
          ['waiting', count(m.depth), m.alarm_depth ? meter(m.depth / m.alarm_depth, m.depth >= m.alarm_depth ? 'bad' : '') : ''],
          ['oldest', m.depth ? span(m.oldest_age_ms) : 'none'],
          ['most so far', count(m.high_water), m.alarm_depth ? `, alarm at ${count(m.alarm_depth)}` : ''],
        ])),
        h('section', {}, h('h2', {}, 'Work'), facts([
          ['messages', count(a.processed), a.rate_1m !== undefined ? `, ${count(a.rate_1m)}/s` : ''],
          ['handling', a.processed ? span(a.busy_ns_total / 1e6 / a.processed) + ' each' : '–'],
          ['busy', a.busy_pct_1m !== undefined ? [count(Math.round(a.busy_pct_1m)), ' %', meter(a.busy_pct_1m / 100)] : '–'],
          ['running for', ago(a.started_at), a.incarnation > 1 ? `, incarnation ${a.incarnation}` : ''],
        ])),
        h('section', {}, h('h2', {}, 'Supervision'), facts([
          ['restarts', count(a.restarts), a.restarts_window ? `, ${a.restarts_window} count` : ''],
          ['when it fails', a.policy || '–', a.on_panic ? `; a panic: ${a.on_panic}` : ''],
          a.next_restart_at && !a.next_restart_at.startsWith('0001') && ['next start', clock(a.next_restart_at)],
          ['watched by', a.watched_by?.length ? a.watched_by.map(id => [actorLink(id), ' ']) : a.watchers ? count(a.watchers) : 'nobody'],
          a.watches?.length && ['watches', a.watches.map(id => [actorLink(id), ' '])],
          ['type', a.type || '–'],
        ]))),
      a.detail !== undefined && h('section', {}, h('h2', {}, 'What it says of itself'), detail(a.detail)),
      a.detail_timeout && h('p', { class: 'notice warn apart' }, 'It did not say anything of itself within 100 ms.'),
      (a.tasks || a.goroutines) && h('section', {}, h('h2', {}, 'Tasks'), table([['task', t => t.name], ['for', t => span(t.age_ms), 'n']], a.tasks || [], { caption: 'Tasks', empty: (a.goroutines || []).join(', ') })),
      failures.length > 0 && h('section', {}, h('h2', {}, 'Failures, the newest first'), failures.map(f => h('div', { key: f.at }, h('p', { class: 'notice bad' }, h('b', {}, f.reason), h('span', { class: 'more' }, `${clock(f.at)}, ${ago(f.at)} ago`, f.message_type ? `, on ${f.message_type}` : '', f.where ? `, at ${f.where}` : '', f.peer ? [', from ', peerLink(f.peer)] : ''))))),
      stacks && h('section', {}, h('h2', {}, 'Stacks'),
        !stacks.goroutines.length && !stacks.last_failure && h('p', { class: 'quiet' }, 'No goroutine of it runs now: it waits for messages.'),
        stacks.goroutines.map((g, i) => h('pre', { key: i, tabindex: '0' }, `${g.count === 1 ? 'one goroutine' : g.count + ' goroutines'}${g.labels?.task ? ', task ' + g.labels.task : ''}\n` + g.stack.join('\n'))),
        stacks.last_failure && h('pre', { tabindex: '0' }, `the last failure: ${stacks.last_failure.reason}\n` + stacks.last_failure.stack.join('\n'))),
      trace && h('section', {}, h('h2', {}, 'Messages that it handles'), traced(trace)),
      h('section', {}, h('h2', {}, 'Children'), table([
        ['actor', c => actorLink(c.actor.id, c.actor.name)], ['state', c => c.actor.state.replace('_', ' ')], ['queue', c => count(c.actor.mailbox.depth), 'n'], ['restarts', c => count(c.actor.restarts), 'n'], ['now', c => c.actor.line || '', 'wide'],
      ], children, { key: c => c.actor.id, empty: 'It has no children.', caption: 'Children' })),
    ]
  }
}

// detail shows what an actor says of itself, as names and values.
export function detail(v) {
  if (v === null || typeof v !== 'object') return String(v)
  if (Array.isArray(v) && v.every(x => x === null || typeof x !== 'object')) return v.length ? v.join(', ') : 'none'
  const rows = Object.entries(v)
  if (rows.length > 200) return h('pre', { tabindex: '0' }, JSON.stringify(v, null, 1).slice(0, 50_000))
  return facts(rows.map(([k, x]) => [k.replaceAll('_', ' '), detail(x)]))
}

// followed traces an actor, a peer or a message. made has the trace, whose lines then come.
export async function followed(ctx, what, params, made) {
  const trace = { lines: [], on: true }
  made(trace)
  try {
    await lines('/v1/trace/' + what, params, l => { trace.lines.push(l); ctx.redraw() }, ctx.signal)
  } catch (e) {
    trace.problem = e
  }
  trace.on = false
  ctx.redraw()
}

// traced shows the lines of a trace.
export function traced(t) {
  return [
    table([
      ['at', l => clock(l.at)], ['what', l => l.what], ['message', l => l.type || l.protocol || ''],
      ['from', l => (l.from ? actorLink(l.from) : l.peer ? peerName(l.peer) : '')], ['took', l => (l.took_ms ? span(l.took_ms) : ''), 'n'], ['size', l => (l.size ? count(l.size) : ''), 'n'], ['note', l => [l.failed && h('b', { class: 'bad' }, 'failed '), l.note, l.lost ? ` ${l.lost} lost before` : ''], 'wide'],
    ], t.lines.slice(-200), { empty: t.on ? 'None yet.' : 'None came.', caption: 'Trace' }),
    t.problem && h('p', { class: 'notice bad' }, t.problem.message, ' ', t.problem.hint),
  ]
}
