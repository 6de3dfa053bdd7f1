// The node's HTTP API, as docs/api-http.md has it.
import { serverTime } from './words.js'

const LIMIT = 10_000 // ms for an answer that is no stream
const SILENCE = 40_000 // ms: a stream has a sign of life each 15 s

// Problem is an answer that is no success.
export class Problem extends Error {
  constructor(status, { code, message, hint }) {
    super(message)
    this.status = status
    this.code = code
    this.hint = hint
  }
}

const gone = () => new Problem(0, { code: 'gone', message: 'the node does not answer', hint: 'it was stopped, or the command that shows this page was; this page tries again' })

// limited is a signal that also comes when nothing was heard for ms.
function limited(signal, ms) {
  const c = new AbortController()
  let timer
  const heard = () => {
    clearTimeout(timer)
    timer = setTimeout(() => { c.late = true; c.abort() }, ms)
  }
  const stop = () => c.abort()
  if (signal?.aborted) stop()
  signal?.addEventListener('abort', stop)
  heard()
  return { signal: c.signal, heard, end: () => { clearTimeout(timer); signal?.removeEventListener('abort', stop) }, late: () => c.late }
}

async function ask(method, path, params, { body, accept, limit }) {
  const q = new URLSearchParams()
  for (const k in params || {}) if (params[k] !== undefined && params[k] !== '') q.set(k, params[k])
  const r = await fetch(path + (String(q) ? '?' + q : ''), { method, body, signal: limit.signal, headers: accept ? { Accept: accept } : {}, credentials: 'same-origin', cache: 'no-store' })
  serverTime(r.headers.get('Date'))
  if (r.ok || path === '/healthz' || path === '/readyz') return r
  const told = await r.json().then(v => v.error, () => null)
  throw new Problem(r.status, told || { code: 'status', message: `the node answers with ${r.status}`, hint: '' })
}

// asked runs a request within its limit; what goes wrong on the way is a Problem.
async function asked(signal, ms, run) {
  const limit = limited(signal, ms)
  try {
    return await run(limit)
  } catch (e) {
    if (e instanceof Problem || signal?.aborted) throw e
    if (limit.late()) throw new Problem(0, { code: 'late', message: `the node has not answered for ${ms / 1000} s`, hint: 'it hangs, or the way to it does; this page tries again' })
    throw gone()
  } finally {
    limit.end()
  }
}

const json = (method, path, params, more = {}) => asked(more.signal, more.limit || LIMIT, async limit => (await ask(method, path, params, { ...more, limit })).json())
export const get = (path, params, more) => json('GET', path, params, more)
export const post = (path, params, more) => json('POST', path, params, { limit: 90_000, ...more })

// pieces calls took with each piece of a body that ends with end.
async function pieces(r, end, took, limit) {
  const reader = r.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    limit.heard()
    if (done) break
    rest += value
    for (let i = rest.indexOf(end); i >= 0; i = rest.indexOf(end)) {
      took(rest.slice(0, i))
      rest = rest.slice(i + end.length)
    }
  }
  if (rest.trim()) took(rest)
}

// lines posts, and calls took with each line of the answer; an error may be the last one.
export const lines = (path, params, took, signal) => asked(signal, 120_000, async limit => {
  await pieces(await ask('POST', path, params, { limit }), '\n', line => {
    if (!line.trim()) return
    const v = JSON.parse(line)
    if (v.error) throw new Problem(200, v.error)
    took(v)
  }, limit)
})

// follow calls took with each event after that with the id since, until signal.
export const follow = (params, took, signal) => asked(signal, SILENCE, async limit => {
  await pieces(await ask('GET', '/v1/events', params, { limit, accept: 'text/event-stream' }), '\n\n', block => {
    const data = block.split('\n').find(l => l.startsWith('data:'))
    if (data) took(JSON.parse(data.slice(5)))
  }, limit)
})
