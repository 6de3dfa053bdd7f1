// A small virtual DOM: pages say what is to be seen, patch changes what differs.
// Texts become text nodes, so that nothing a stranger has written is ever markup.

const SVG = new Set(['svg', 'g', 'path', 'circle', 'line', 'rect', 'text', 'title', 'polyline'])

// h describes an element. A key keeps an element with what it is about when lists change.
export function h(tag, props, ...kids) {
  props = props || {}
  return { tag, props, key: props.key, kids: flat(kids, []) }
}

function flat(kids, to) {
  for (const k of kids) {
    if (Array.isArray(k)) flat(k, to)
    else if (k !== null && k !== undefined && k !== false && k !== '') to.push(typeof k === 'object' ? k : { text: String(k) })
  }
  return to
}

// patch makes the children of parent what kids describe.
export function patch(parent, kids) {
  kids = flat([kids], [])
  const old = parent.drawn || []
  const keyed = new Map()
  const free = []
  for (const o of old) o.v.key === undefined ? free.push(o) : keyed.set(o.v.key, o)
  let n = 0
  const next = kids.map(v => {
    let o
    if (v.key === undefined) o = free[n++]
    else {
      o = keyed.get(v.key)
      keyed.delete(v.key)
    }
    if (!o || o.v.tag !== v.tag) return { v, node: create(v, parent), fresh: true }
    if (o.v !== v) update(o.node, o.v, v)
    return { v, node: o.node }
  })
  const kept = new Set(next.map(o => o.node))
  for (const o of old) if (!kept.has(o.node)) o.node.remove()
  let at = null
  for (let i = next.length - 1; i >= 0; i--) {
    const { node } = next[i]
    if (node.nextSibling !== at || node.parentNode !== parent) parent.insertBefore(node, at)
    at = node
  }
  parent.drawn = next
}

function create(v) {
  if (v.tag === undefined) return document.createTextNode(v.text)
  const node = SVG.has(v.tag) ? document.createElementNS('http://www.w3.org/2000/svg', v.tag) : document.createElement(v.tag)
  update(node, { props: {}, kids: [] }, v)
  if (v.props.made) v.props.made(node)
  return node
}

function update(node, old, v) {
  if (v.tag === undefined) {
    if (node.data !== v.text) node.data = v.text
    return
  }
  for (const name in old.props) if (!(name in v.props)) set(node, name, null)
  for (const name in v.props) if (name !== 'value' && v.props[name] !== old.props[name]) set(node, name, v.props[name])
  patch(node, v.kids)
  if ('value' in v.props && v.props.value !== old.props.value) set(node, 'value', v.props.value) // after its options
}

function set(node, name, value) {
  if (name === 'key' || name === 'made') return
  if (name.startsWith('on')) node[name] = value
  else if (name === 'at') for (const p in value || {}) node.style.setProperty(p, value[p]) // styles that are numbers; the policy forbids the attribute
  else if (name === 'value' || name === 'checked' || name === 'open') {
    if (node[name] !== value) node[name] = value ?? (name === 'value' ? '' : false)
  } else if (value === null || value === undefined || value === false) node.removeAttribute(name)
  else node.setAttribute(name, value === true ? '' : value)
}
