// Asks the node for the tree, and keeps the rows that the page shows. What is closed is not asked for,
// as far as the depth of what is open allows.
let view = null
let tree = null
let problem = ''
let over = false // the session has ended
let loading = null
let known = new Map() // of the last answer: the ids below each actor that was asked for
let fresh = new Set() // ids that have come since
let troubled = [] // actors that are stuck or have failed, wherever they are
let before = new Map() // how many children each actor had in the last minute: id → [time, number] …

self.onmessage = m => {
  const deeper = view && depth(m.data) !== depth(view)
  const first = !view
  view = m.data
  if (first) again()
  else if (deeper) load().then(load).then(show) // the one under way may be of the old depth
  else show()
}

// depth is how many levels are asked for.
function depth(v) {
  if (v.search || v.wrong) return undefined
  return 2 + Math.max(0, ...v.opened.map(id => id.split('/').length))
}

async function again() {
  let took = 0
  if (!view.hidden) {
    const began = performance.now()
    await load()
    show()
    took = performance.now() - began
  }
  if (!over) setTimeout(again, Math.max(1000, took * 10)) // a large tree is asked for less often
}

// load asks for the tree, once at a time.
const load = () => loading ||= ask().finally(() => { loading = null })

async function answer(path) {
  const r = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(20_000) })
  if (r.ok) return r.json()
  over ||= r.status === 401
  throw new Error((await r.json()).error.message)
}

async function ask() {
  try {
    const d = depth(view)
    const [t, ...lists] = await Promise.all([answer('/v1/tree' + (d === undefined ? '' : '?depth=' + d)), ...['stuck', 'failed', 'backing_off'].map(s => answer('/v1/actors?limit=200&state=' + s))])
    tree = t
    troubled = lists.flatMap(l => l.items)
    note()
    problem = ''
  } catch (e) {
    problem = e instanceof TypeError || e.name === 'TimeoutError' ? 'the node does not answer' : e.message
  }
}

// note notes how many children there are, and which have come.
function note() {
  const next = new Map()
  const t = Date.now()
  fresh = new Set()
  const counts = new Map()
  const walk = b => {
    const a = b.actor
    const list = before.get(a.id) || []
    if (!list.length || t - list.at(-1)[0] > 5000) list.push([t, a.children])
    while (list.length > 1 && t - list[0][0] > 60_000) list.shift()
    counts.set(a.id, list)
    if (!b.children) return
    const had = known.get(a.id)
    next.set(a.id, new Set(b.children.map(c => c.actor.id)))
    for (const c of b.children) {
      if (had && !had.has(c.actor.id)) fresh.add(c.actor.id)
      walk(c)
    }
  }
  tree.branches.forEach(walk)
  known = next
  before = counts
}

const wrong = a => a.mailbox.depth > 0 || a.restarts > 0 || !['running', 'busy', 'unsupervised'].includes(a.state)

function show() {
  if (!tree) return postMessage({ problem, rows: [], from: 0, shown: 0, actors: 0 })
  const opened = new Set(view.opened), closed = new Set(view.closed)
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean)
  const filter = words.length > 0 || view.wrong
  const fits = a => {
    if (view.wrong && !wrong(a)) return false
    const text = `${a.name} ${a.kind} ${a.type} ${a.state} ${a.line || ''}`.toLowerCase()
    return words.every(w => text.includes(w))
  }
  const rows = []
  // walk adds a branch, and reports whether it was kept.
  const walk = (b, level, at, of) => {
    const a = b.actor
    const open = filter || (!closed.has(a.id) && (opened.has(a.id) || level < 2))
    const place = rows.length
    rows.push(null)
    let kept = !filter || fits(a)
    const below = b.children || []
    if (open) below.forEach((c, i) => { kept = walk(c, level + 1, i + 1, below.length) || kept })
    if (!kept) {
      rows.length = place
      return false
    }
    rows[place] = { a, level, at, of, open: open && a.children > 0 }
    return true
  }
  tree.branches.forEach((b, i) => walk(b, 0, i + 1, tree.branches.length))
  const from = Math.max(0, Math.min(view.from, rows.length - view.rows))
  postMessage({
    problem, from, filter, shown: rows.length, actors: tree.actors,
    rows: rows.slice(from, from + view.rows).map(({ a, level, at, of, open }) => ({
      id: a.id, parent: a.parent, name: a.name, level, at, of, open, children: a.children, more: grown(a), state: a.state, depth: a.mailbox.depth, oldest: a.mailbox.oldest_age_ms, rate: a.rate_1m || 0, busy: a.busy_pct_1m || 0,
      restarts: a.restarts, trouble: !open && a.children > 0 ? troubleBelow(a.id) : '', fresh: fresh.has(a.id),
      line: a.current && a.current.age_ms > 1000 ? `on ${a.current.message_type} for ${Math.round(a.current.age_ms / 1000)} s` : a.last_failure && a.state !== 'running' ? a.last_failure.reason : a.line || '',
    })),
  })
}

// grown says how many more children an actor has than up to a minute ago.
function grown(a) {
  const list = before.get(a.id)
  if (!list) return ''
  const [t, n] = list[0]
  return a.children - n > 9 ? `+${a.children - n} in ${Math.max(5, Math.round((Date.now() - t) / 1000))} s` : ''
}

// troubleBelow says what is wrong in a branch that is closed.
function troubleBelow(id) {
  const n = {}
  for (const a of troubled) if (a.id.startsWith(id + '/')) n[a.state] = (n[a.state] || 0) + 1
  return Object.entries(n).map(([state, n]) => `${n} ${state.replace('_', ' ')}`).join(', ')
}
