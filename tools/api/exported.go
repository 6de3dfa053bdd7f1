package main

import (
	"fmt"
	"go/types"
	"path"
	"slices"
	"strings"
)

// exported returns what a package exports, a line each, sorted.
func exported(p *types.Package) []string {
	d := dump{qualifier: func(other *types.Package) string {
		if other == p {
			return ""
		}
		return path.Base(other.Path())
	}}
	scope := p.Scope()
	for _, name := range scope.Names() {
		if o := scope.Lookup(name); o.Exported() {
			d.object(o)
		}
	}
	slices.Sort(d.lines)
	return d.lines
}

type dump struct {
	qualifier types.Qualifier
	lines     []string
}

func (d *dump) add(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *dump) typ(t types.Type) string { return types.TypeString(t, d.qualifier) }

func (d *dump) object(o types.Object) {
	switch o := o.(type) {
	case *types.Const:
		d.add("const %s %s = %s", o.Name(), d.typ(o.Type()), o.Val().ExactString())
	case *types.Var:
		d.add("var %s %s", o.Name(), d.typ(o.Type()))
	case *types.Func:
		d.add("%s", types.ObjectString(o, d.qualifier))
	case *types.TypeName:
		d.typeName(o)
	}
}

func (d *dump) typeName(o *types.TypeName) {
	if o.IsAlias() {
		d.add("type %s = %s", o.Name(), d.typ(types.Unalias(o.Type())))
		return
	}
	named := o.Type().(*types.Named)
	head := o.Name()
	if ps := named.TypeParams(); ps.Len() > 0 {
		var params []string
		for p := range ps.TypeParams() {
			params = append(params, p.Obj().Name()+" "+d.typ(p.Constraint()))
		}
		head += "[" + strings.Join(params, ", ") + "]"
	}
	switch u := named.Underlying().(type) {
	case *types.Struct:
		d.add("type %s struct", head)
		d.fields(o.Name(), u)
	case *types.Interface:
		d.add("type %s interface", head)
		d.members(o.Name(), u)
	default:
		d.add("type %s %s", head, d.typ(u))
	}
	for m := range named.Methods() {
		if m.Exported() {
			d.add("method %s", strings.TrimPrefix(types.ObjectString(m, d.qualifier), "func "))
		}
	}
}

// fields lists the exported fields, and whether there are others, which matters for code
// that writes or compares values of the type.
func (d *dump) fields(of string, s *types.Struct) {
	others := false
	for f := range s.Fields() {
		switch {
		case !f.Exported():
			others = true
		case f.Embedded():
			d.add("field %s.%s, embedded", of, d.typ(f.Type()))
		default:
			d.add("field %s.%s %s", of, f.Name(), d.typ(f.Type()))
		}
	}
	if others {
		d.add("field %s has unexported ones", of)
	}
	if !types.Comparable(s) {
		d.add("type %s is not comparable", of)
	}
}

// members lists the methods and embedded types of an interface.
func (d *dump) members(of string, i *types.Interface) {
	others := false
	for m := range i.ExplicitMethods() {
		if !m.Exported() {
			others = true
			continue
		}
		d.add("member %s.%s%s", of, m.Name(), strings.TrimPrefix(d.typ(m.Type()), "func"))
	}
	for e := range i.EmbeddedTypes() {
		d.add("member %s.%s, embedded", of, d.typ(e))
	}
	if others {
		d.add("member %s has unexported ones", of)
	}
}
