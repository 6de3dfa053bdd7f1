// Numbers and times as the commands write them.

let ahead = 0 // ms that the node's clock is before the browser's

// serverTime takes the Date of an answer: ages are those of the node's clock.
export function serverTime(date) {
  const t = Date.parse(date || '')
  if (Number.isNaN(t)) return
  const d = t + 500 - Date.now() // the header has whole seconds
  ahead = Math.abs(d) > 2000 ? d : 0
}

export const now = () => Date.now() + ahead

export function bytes(n) {
  if (n === undefined || n === null) return '–'
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let u = 0
  while (Math.abs(n) >= 1000 && u < units.length - 1) {
    n /= 1000
    u++
  }
  return (u === 0 ? Math.round(n) : n < 10 ? n.toFixed(1) : Math.round(n)) + ' ' + units[u]
}

export function count(n) {
  if (n === undefined || n === null) return '–'
  if (Number.isInteger(n)) return n.toLocaleString('en')
  return n < 10 ? n.toFixed(1) : Math.round(n).toLocaleString('en')
}

export const plural = (n, one) => `${count(n)} ${one}${n === 1 ? '' : 's'}`

// span says a time in milliseconds: 12 ms, 4.2 s, 3 min, 5 h, 2 d.
export function span(ms) {
  if (ms === undefined || ms === null || Number.isNaN(ms)) return '–'
  if (ms < 1) return ms.toFixed(2) + ' ms'
  if (ms < 1000) return (ms < 10 ? ms.toFixed(1) : Math.round(ms)) + ' ms'
  const s = ms / 1000
  if (s < 10) return s.toFixed(1) + ' s'
  if (s < 120) return Math.round(s) + ' s'
  if (s < 7200) return Math.round(s / 60) + ' min'
  if (s < 172800) return Math.round(s / 3600) + ' h'
  return Math.round(s / 86400) + ' d'
}

const valid = t => t && !t.startsWith('0001')

export const ago = t => (valid(t) ? span(Math.max(0, now() - Date.parse(t))).replace(/(\d)\.\d s$/, '$1 s').replace(/^.* ms$/, '0 s') : 'never')

// clock says when: the time alone today, else with the date.
export function clock(t) {
  if (typeof t === 'string' && !valid(t)) return 'never'
  const d = new Date(t)
  const two = n => String(n).padStart(2, '0')
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`
  if (d.toDateString() === new Date().toDateString()) return time
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${time}`
}

// value says a figure in its unit.
export function value(v, unit) {
  if (v === null || v === undefined) return '–'
  if (Array.isArray(v)) return v.length ? v.join(', ') : 'none'
  switch (unit) {
    case 'time': return typeof v === 'string' && valid(v) ? `${clock(v)} (${ago(v)} ago)` : 'never'
    case 'bytes': return bytes(v)
    case 'ms': return span(v)
    case 's': return span(v * 1000)
    case 'ns': return span(v / 1e6)
    case 'ratio': return (v * 100).toFixed(v < 0.1 ? 1 : 0) + ' %'
    case 'switch': return v ? 'yes' : 'no'
  }
  return typeof v === 'number' ? count(v) : String(v) || '–'
}

// address is a multiaddr for people: 127.0.0.1:18189.
export function address(a) {
  const m = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)$/.exec(a || '')
  if (m) return (m[1].includes(':') ? `[${m[1]}]` : m[1]) + ':' + m[2]
  const o = /^\/onion3?\/([^/]+)/.exec(a || '')
  if (o) return o[1].slice(0, 12) + '….onion'
  return a || ''
}
