// What the node has done in the last five minutes, as far as this page was open: a sample a second.

export const SPAN = 300_000 // ms that are drawn
export const samples = { at: [], series: {} }
let last = null

// sample takes what has changed since the last one.
export function sample(node, traffic, deep) {
  const t = Date.now()
  const sum = (list, field, of) => list.filter(of || (() => true)).reduce((n, x) => n + (x[field] || 0), 0)
  const c = traffic.connections
  const totals = {
    'messages in': sum(traffic.messages, 'in', plain),
    'messages out': sum(traffic.messages, 'out', plain),
    'bytes in': c.bytes_in,
    'bytes out': c.bytes_out,
    confirmed: sum(traffic.sent, 'count', s => s.outcome === 'confirmed'),
    'in doubt': sum(traffic.sent, 'count', s => s.outcome === 'in doubt'),
    failed: sum(traffic.sent, 'count', s => s.outcome === 'failed'),
  }
  const gauges = {
    inbound: node.inbound,
    outbound: node.outbound,
    queued: deep.items.reduce((n, a) => n + a.mailbox.depth, 0),
    unread: node.inbox ? node.inbox.messages : 0,
  }
  const started = Date.parse(node.started_at) // counted from now, and so never quite the same
  if (last && last.pid === node.pid && Math.abs(started - last.started) < 1000) {
    const s = Math.max(0.2, (t - last.t) / 1000)
    samples.at.push(t)
    for (const k in totals) push(k, Math.max(0, totals[k] - last.totals[k]) / s)
    for (const k in gauges) push(k, gauges[k])
    while (samples.at.length && samples.at[0] < t - SPAN) {
      samples.at.shift()
      for (const k in samples.series) samples.series[k].shift()
    }
  }
  last = { t, totals, started, pid: node.pid }
}

// plain leaves out answers, which are no messages of their own.
const plain = m => m.kind !== 'answers'

function push(name, v) {
  (samples.series[name] ||= []).push(v)
}
