// Asks the node for the tree, and keeps the rows that the page shows. What is closed is not asked for,
// as far as the depth of what is open allows.
let view = null
let tree = null
let problem = ''
let known = null // ids that were there before
let before = new Map() // how many children each actor had a minute ago: id → [time, number] …
let troubled = [] // actors that are stuck or have failed, wherever they are

self.onmessage = m => {
  const first = !view
  const deeper = view && (depth(m.data) !== depth(view))
  view = m.data
  if (first) again()
  else if (deeper) load().then(show)
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
  setTimeout(again, Math.max(1000, took * 10)) // a large tree is asked for less often
}

async function load() {
  try {
    const d = depth(view)
    const r = await fetch('/v1/tree' + (d === undefined ? '' : '?depth=' + d), { cache: 'no-store' })
    if (!r.ok) throw new Error((await r.json()).error.message)
    const lists = await Promise.all(['stuck', 'failed', 'backing_off'].map(s => fetch('/v1/actors?limit=200&state=' + s, { cache: 'no-store' }).then(r => (r.ok ? r.json() : { items: [] }))))
    tree = await r.json()
    troubled = lists.flatMap(l => l.items)
    problem = ''
  } catch (e) {
    problem = e instanceof TypeError ? 'the node does not answer' : e.message
  }
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
  const seen = new Set()
  // walk adds a branch, and reports whether it was kept.
  const walk = (b, level) => {
    const a = b.actor
    const below = (b.children?.length || 0) + (b.hidden || 0)
    const open = filter ? true : closed.has(a.id) ? false : opened.has(a.id) || level < 2
    seen.add(a.id)
    const at = rows.length
    rows.push(null)
    let kept = !filter || fits(a)
    if (open) for (const c of b.children || []) kept = walk(c, level + 1) || kept
    if (!kept) {
      rows.length = at
      return false
    }
    rows[at] = { b, level, open: open && below > 0, below }
    return true
  }
  for (const b of tree.branches) walk(b, 0)
  const before = known
  if (!filter) known = new Set([...(known || []), ...seen])
  const from = Math.min(view.from, Math.max(0, rows.length - view.rows))
  postMessage({
    problem, from, filter, shown: rows.length, actors: tree.actors,
    rows: rows.slice(from, from + view.rows).map(({ b: { actor: a }, level, open, below }) => ({
      id: a.id, parent: a.parent, name: a.name, level, open, children: below, more: grown(a.id, below), state: a.state, depth: a.mailbox.depth, oldest: a.mailbox.oldest_age_ms, rate: a.rate_1m || 0, busy: a.busy_pct_1m || 0,
      restarts: a.restarts, trouble: open ? '' : below > 0 ? troubleBelow(a.id) : '', fresh: before && !filter && !before.has(a.id),
      line: a.current && a.current.age_ms > 1000 ? `on ${a.current.message_type} for ${Math.round(a.current.age_ms / 1000)} s` : a.last_failure && a.state !== 'running' ? a.last_failure.reason : a.line || '',
    })),
  })
}

// grown is how many more children an actor has than a minute ago.
function grown(id, n) {
  const t = Date.now()
  let list = before.get(id)
  if (!list) {
    if (before.size > 5000) before = new Map()
    before.set(id, (list = []))
  }
  if (!list.length || t - list.at(-1)[0] > 5000) list.push([t, n])
  while (list.length && t - list[0][0] > 60_000) list.shift()
  return list.length ? n - list[0][1] : 0
}

// troubleBelow says what is wrong in a branch that is closed.
function troubleBelow(id) {
  const n = {}
  for (const a of troubled) if (a.id.startsWith(id + '/')) n[a.state] = (n[a.state] || 0) + 1
  return Object.entries(n).map(([state, n]) => `${n} ${state.replace('_', ' ')}`).join(', ')
}
