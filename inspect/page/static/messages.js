// What was sent, what became of it, and what waits to be read.
import { h } from './dom.js'
import { ago, bytes, clock, count, plural, span } from './words.js'
import { facts, table } from './draw.js'
import { state, link, go, named, peerLink, acts } from './state.js'
import { followed, traced } from './actor.js'

const mood = s => ({ confirmed: 'ok', failed: 'bad', 'in doubt': 'warn' })[s] || ''

export const messages = {
  title: 'Messages',
  open(ctx) {
    let sent = null, traffic = null, inbox = null, wanted = '', only = ''
    ctx.every(2000, async () => {
      const has = name => state.sections.has(name)
      ;[sent, traffic, inbox] = await Promise.all([has('ledger') ? ctx.get('/v1/ledger', { limit: 200, state: only }) : state.session ? { items: [], total: 0 } : sent, ctx.get('/v1/traffic'), has('inbox') ? ctx.get('/v1/inbox') : null])
    })
    return () => [
      traffic && h('section', {}, h('h2', {}, 'What became of messages'), table([
        ['outcome', s => h('span', { class: mood(s.outcome) }, s.outcome)], ['reason', s => (s.reason === 'none' ? '' : s.reason)], ['messages', s => count(s.count), 'n'],
      ], traffic.sent.filter(s => s.count > 0), { key: s => s.outcome + s.reason, empty: 'None was sent yet.', caption: 'Outcomes' })),
      traffic && h('section', {}, h('h2', {}, 'In and out'), table([
        ['kind', m => m.kind.replace('-', ' ')], ['in', m => count(m.in), 'n'], ['out', m => count(m.out), 'n'], ['bytes in', m => bytes(m.bytes_in), 'n'], ['bytes out', m => bytes(m.bytes_out), 'n'],
      ], traffic.messages, { key: m => m.kind, caption: 'Messages in and out' })),
      inbox && h('section', {}, h('h2', {}, 'Inbox'), facts([
        ['unread', `${plural(inbox.messages, 'message')}, ${bytes(inbox.bytes)} of ${bytes(inbox.max_bytes)}`], ['being handled', count(inbox.in_hand)], ['listeners', count(inbox.listeners)],
        inbox.messages > 0 && ['oldest', ago(inbox.oldest_at)], ['on the shelf', inbox.dead ? h('span', { class: 'bad' }, count(inbox.dead)) : '0'],
      ])),
      h('section', {}, h('h2', {}, 'Sent over the DHT'),
        h('form', { class: 'bar', onsubmit: e => { e.preventDefault(); if (wanted.trim()) go('/message/' + encodeURIComponent(wanted.trim())) } },
          h('input', { type: 'search', placeholder: 'a tag, to see the life of a message', 'aria-label': 'Tag of a message', value: wanted, oninput: e => { wanted = e.target.value } }),
          h('label', {}, 'show ', h('select', { value: only, onchange: e => { only = e.target.value; ctx.redraw() } }, [['', 'all'], ['open', 'open'], ['failed', 'failed']].map(([v, t]) => h('option', { key: v, value: v }, t)))),
          h('span', { class: 'quiet', role: 'status' }, sent && plural(sent.total, 'message'))),
        table([
          ['tag', m => link('/message/' + m.tag, m.tag)], ['began', m => clock(m.begin)], ['outcome', m => h('span', { class: mood(m.summary) }, m.summary || 'open')], ['copies', m => count(m.copies?.length || 0), 'n'], ['size', m => bytes(m.size), 'n'], ['to', m => named(m.to), 'wide'],
        ], sent?.items, { key: m => m.tag + m.begin, empty: 'None.', caption: 'Messages sent over the DHT' })),
    ]
  },
}

export const message = {
  title: 'Message',
  under: 'messages',
  open(ctx) {
    let m = null, none = false, trace = null
    ctx.every(1000, async () => {
      const found = await ctx.get('/v1/ledger', { tag: ctx.arg, limit: 10 })
      m = found.items[0]
      none = !m
    })
    const follow = () => followed(ctx, 'message', { tag: ctx.arg, limit: 500, for: '60s' }, t => { trace = t })
    return () => [
      !m && !none && ctx.waits(),
      none && h('p', { class: 'notice' }, 'This node has not sent a message with this tag, or has forgotten it. It may pass through: follow it.'),
      acts() && h('p', { class: 'acts' }, h('button', { onclick: follow, disabled: trace?.on }, trace?.on ? 'Follows for a minute' : 'Follow the tag')),
      m && h('ol', { class: 'life' },
        h('li', {}, h('b', {}, clock(m.begin)), ` sent: ${bytes(m.size)}, type ${m.type}${m.encrypted ? ', encrypted' : ''}, ${named(m.to)}`),
        (m.copies || []).map((c, i) => h('li', { key: c.peer + i, class: mood(c.outcome) }, h('b', {}, c.at ? clock(c.at) : 'open'), ' ', peerLink(c.peer), ` ${c.outcome || 'open'}${c.reason ? ': ' + c.reason : ''}, ${span(Date.parse(c.at) - Date.parse(m.begin))} after it was sent, ${plural(c.tries, 'try').replace('trys', 'tries')}`)),
        m.end && !m.end.startsWith('0001') ? h('li', { class: mood(m.summary) }, h('b', {}, clock(m.end)), ' ended: ', m.summary) : h('li', {}, 'It goes on.')),
      trace && h('section', {}, h('h2', {}, 'What passes now'), traced(trace)),
    ]
  },
}
