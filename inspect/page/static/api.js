// The node's HTTP API, as docs/api-http.md has it.

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

async function ask(method, path, params, { body, signal, accept } = {}) {
  const q = new URLSearchParams()
  for (const k in params || {}) if (params[k] !== undefined && params[k] !== '') q.set(k, params[k])
  const at = path + (q.size ? '?' + q : '')
  let r
  try {
    r = await fetch(at, { method, body, signal, headers: accept ? { Accept: accept } : {}, credentials: 'same-origin', cache: 'no-store' })
  } catch (e) {
    if (e.name === 'AbortError') throw e
    throw gone()
  }
  if (r.ok || path === '/healthz' || path === '/readyz') return r
  let told
  try {
    told = (await r.json()).error
  } catch {
    told = null
  }
  if (r.status === 502) throw gone()
  throw new Problem(r.status, told || { code: 'status', message: `the node answers with ${r.status}`, hint: '' })
}

const json = async r => {
  try {
    return await r.json()
  } catch (e) {
    if (e.name === 'AbortError') throw e
    throw gone()
  }
}

export const get = async (path, params, more) => json(await ask('GET', path, params, more))
export const post = async (path, params, more) => json(await ask('POST', path, params, more))

// pieces calls took with each piece of a body that ends with end.
async function pieces(r, end, took) {
  const reader = r.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    let piece
    try {
      piece = await reader.read()
    } catch (e) {
      if (e.name === 'AbortError') throw e
      throw gone()
    }
    if (piece.done) break
    rest += piece.value
    for (let i = rest.indexOf(end); i >= 0; i = rest.indexOf(end)) {
      took(rest.slice(0, i))
      rest = rest.slice(i + end.length)
    }
  }
  if (rest.trim()) took(rest)
}

// lines posts, and calls took with each line of the answer; an error may be the last one.
export async function lines(path, params, took, signal) {
  await pieces(await ask('POST', path, params, { signal }), '\n', line => {
    if (!line.trim()) return
    const v = JSON.parse(line)
    if (v.error) throw new Problem(200, v.error)
    took(v)
  })
}

// follow calls took with each event after that with the id since, until signal.
export async function follow(params, took, signal) {
  const r = await ask('GET', '/v1/events', params, { signal, accept: 'text/event-stream' })
  await pieces(r, '\n\n', block => {
    const data = block.split('\n').find(l => l.startsWith('data:'))
    if (data) took(JSON.parse(data.slice(5)))
  })
}
