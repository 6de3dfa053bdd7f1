package models

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Metric describes one metric of a node. It is made of the fields of sections that have its name in
// their tag metric: see [MetricsOf].
type Metric struct {
	Name   string // with the prefix gamelan_
	Kind   MetricKind
	Unit   string // seconds, bytes or ratio; "" for a plain number
	Help   string // a sentence
	Labels []MetricLabel
}

// MetricKind says how a metric changes.
type MetricKind string

// The kinds of metrics.
const (
	Counter    MetricKind = "counter" // it only grows, and begins at 0 when the node starts
	Gauge      MetricKind = "gauge"
	Histograms MetricKind = "histogram"
)

// MetricLabel is a label of a metric with the values that it may have. There are no others.
type MetricLabel struct {
	Name   string
	Values []string
}

// OtherValue is the value of a label for everything that is not among its values.
const OtherValue = "other"

// Sample is one value of a metric. Of a label without a value, the text is empty.
type Sample struct {
	Metric    *Metric
	Labels    []string // values, in the order of Metric.Labels
	Value     float64
	Histogram *Histogram // of a histogram; otherwise nil
}

// Histogram counts durations by their length.
type Histogram struct {
	Bounds []float64 `json:"bounds" unit:"s"` // the longest of each count, in order; beyond the last there is one more count
	Counts []uint64  `json:"counts"`          // one more than bounds
	Sum    float64   `json:"sum" unit:"s"`    // of all durations
}

// Total returns how many durations were counted.
func (h *Histogram) Total() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// MetricValues is implemented by a value for metrics whose labels have more values than a tag could
// list. It returns the values of a label, which [LabelText] may change, and must not depend on the value's state.
type MetricValues interface {
	MetricValues(label string) []string
}

// MetricsOf returns the metrics of a value, by name. They follow from its type alone, so a nil pointer to
// a struct is enough. The tags of a field say what it is:
//
//	Messages int               `json:"messages" metric:"inbox_messages" help:"Messages that are not acknowledged."`
//	Received uint64            `json:"received" metric:"inbox_received_messages_total" help:"Messages received."`
//	Inbound  int               `json:"inbound" metric:"connections" with:"direction=in" help:"Open connections."`
//	Refused  map[string]uint64 `json:"refused" metric:"refused_messages_total" by:"reason" help:"Messages refused."`
//
// A name that ends in _total is a counter, a [Histogram] is a histogram, and all others are gauges. The unit is that of the
// figure (see [Figures]), in seconds for each duration, and the name ends in it. A switch is 0 or 1, and a
// time the seconds since 1970. A list, and a map of anything but numbers, is how many elements it has. Tag with gives labels their values, also for
// all within the field. Tag by names the label of a map's keys, or of a text beside
// the fields that it belongs to; its values are those of [MetricValues]. Without these a map or a list is added up, so
// nothing that a stranger has chosen becomes the value of a label. With the name - a field and all within it are none.
//
// The error names the fields whose tags are wrong.
func MetricsOf(v any) ([]Metric, error) {
	t := tableOf(v)
	all := make([]Metric, 0, len(t.metrics))
	for _, name := range slices.Sorted(maps.Keys(t.metrics)) {
		all = append(all, *t.metrics[name])
	}
	return all, t.err
}

// Measure returns the samples of the metrics of a value, ordered by name and labels. What is nil has none.
func Measure(v any) ([]Sample, error) {
	t := tableOf(v)
	if t.err != nil {
		return nil, t.err
	}
	m := measure{table: t, at: make(map[string]int)}
	m.value(reflect.ValueOf(v), nil)
	slices.SortFunc(m.all, func(a, b Sample) int {
		return cmp.Or(cmp.Compare(a.Metric.Name, b.Metric.Name), slices.Compare(a.Labels, b.Labels))
	})
	return m.all, nil
}

// metricTable is what follows from the type of a value.
type metricTable struct {
	metrics map[string]*Metric
	err     error
}

// metricTables has the tables of the types that were asked for: those of the parts of nodes.
var metricTables sync.Map // reflect.Type → *metricTable

func tableOf(v any) *metricTable {
	of := reflect.TypeOf(v)
	if of == nil {
		return new(metricTable)
	}
	if t, ok := metricTables.Load(of); ok {
		return t.(*metricTable)
	}
	t := &metricTable{metrics: make(map[string]*Metric)}
	declared, _ := reflect.TypeAssert[MetricValues](reflect.New(deref(of)))
	t.add(of, nil, declared, nil)
	for _, m := range t.metrics {
		t.check(m)
	}
	stored, _ := metricTables.LoadOrStore(of, t)
	return stored.(*metricTable)
}

func deref(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// metricField is what the tags of a field say.
type metricField struct {
	name  string // of the metric, "" for none
	by    string
	with  []labelValue
	unit  string  // of the metric
	scale float64 // by which the figure is multiplied
	help  string
	skip  bool // the metrics within are of another section
}

type labelValue struct{ name, value string }

func metricFieldOf(f reflect.StructField) metricField {
	m := metricField{by: f.Tag.Get("by"), help: f.Tag.Get("help"), scale: 1}
	switch name := f.Tag.Get("metric"); name {
	case "":
	case "-":
		m.skip = true
	default:
		m.name = metricPrefix + name
	}
	for with := range strings.SplitSeq(f.Tag.Get("with"), ",") {
		if name, value, ok := strings.Cut(with, "="); ok {
			m.with = append(m.with, labelValue{name, value})
		}
	}
	json, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	unit := cmp.Or(f.Tag.Get("unit"), unitOf(cmp.Or(json, f.Name)))
	switch deref(f.Type) {
	case reflect.TypeFor[time.Duration]():
		unit = UnitNanos
	case reflect.TypeFor[time.Time]():
		unit = UnitSeconds
	}
	switch unit {
	case UnitMillis:
		m.unit, m.scale = "seconds", 1e-3
	case UnitNanos:
		m.unit, m.scale = "seconds", 1e-9
	case UnitSeconds:
		m.unit = "seconds"
	case UnitBytes, UnitRatio:
		m.unit = unit
	}
	return m
}

const metricPrefix = "gamelan_"

// add adds the metrics of a type. labels are those of what it belongs to, and within the types that it is in.
func (t *metricTable) add(of reflect.Type, labels []MetricLabel, declared MetricValues, within []reflect.Type) {
	of = deref(of)
	switch of.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		t.add(of.Elem(), labels, declared, within)
		return
	case reflect.Struct:
	default:
		return
	}
	if slices.Contains(within, of) || of == reflect.TypeFor[time.Time]() {
		return
	}
	within = append(slices.Clip(within), of)
	for f := range of.Fields() {
		if m := metricFieldOf(f); m.by != "" && m.name == "" && f.Type.Kind() == reflect.String {
			labels = withLabel(labels, m.by, declared)
		}
	}
	for f := range of.Fields() {
		if !f.IsExported() {
			continue
		}
		m := metricFieldOf(f)
		if m.skip {
			continue
		}
		with := slices.Clip(labels)
		if m.by != "" && f.Type.Kind() == reflect.Map {
			with = withLabel(with, m.by, declared)
		}
		for _, l := range m.with {
			with = append(with, MetricLabel{l.name, []string{l.value}})
		}
		if m.name == "" || f.Type.Kind() == reflect.Slice {
			t.add(f.Type, with, declared, within)
		}
		if m.name != "" {
			t.metric(of, f, &m, with)
		}
	}
}

// withLabel adds a label whose values are declared.
func withLabel(labels []MetricLabel, name string, declared MetricValues) []MetricLabel {
	if declared == nil {
		return labels
	}
	values := declared.MetricValues(name)
	if len(values) == 0 {
		return labels
	}
	all := []string{OtherValue}
	for _, v := range values {
		all = append(all, LabelText(v))
	}
	return append(slices.Clip(labels), MetricLabel{name, all})
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// metric adds what a field says of its metric.
func (t *metricTable) metric(of reflect.Type, f reflect.StructField, m *metricField, labels []MetricLabel) {
	wrong := func(format string, args ...any) {
		t.err = errors.Join(t.err, fmt.Errorf("models: metric %s, field %s of %s: %s", m.name, f.Name, of, fmt.Sprintf(format, args...)))
	}
	kind := Gauge
	switch {
	case deref(f.Type) == reflect.TypeFor[Histogram]():
		kind = Histograms
	case strings.HasSuffix(m.name, "_total"):
		kind = Counter
	}
	switch {
	case kind != Histograms && !measurable(f.Type):
		wrong("a %s is no number", f.Type)
	case m.by != "" && f.Type.Kind() == reflect.Map && !measurable(f.Type.Elem()):
		wrong("the tag by is for a map of numbers")
	}
	is := t.metrics[m.name]
	if is == nil {
		is = &Metric{Name: m.name, Kind: kind, Unit: m.unit, Help: m.help}
		t.metrics[m.name] = is
	}
	if is.Kind != kind || is.Unit != m.unit || m.help != "" && is.Help != m.help {
		wrong("another field says that it is a %s in %q: %s", is.Kind, is.Unit, is.Help)
	}
	for _, l := range labels {
		i, ok := slices.BinarySearchFunc(is.Labels, l.Name, func(l MetricLabel, name string) int { return cmp.Compare(l.Name, name) })
		if !ok {
			is.Labels = slices.Insert(is.Labels, i, MetricLabel{Name: l.Name})
		}
		is.Labels[i].Values = sorted(slices.Concat(is.Labels[i].Values, l.Values))
	}
}

// measurable reports whether a type is one of a figure that is a number.
func measurable(t reflect.Type) bool {
	t = deref(t)
	switch t.Kind() {
	case reflect.Slice, reflect.Map:
		return true // the number of its elements, or their sum
	case reflect.Struct:
		return t == reflect.TypeFor[time.Time]()
	case reflect.Bool, reflect.Float32, reflect.Float64:
		return true
	}
	return reflect.Int <= t.Kind() && t.Kind() <= reflect.Uintptr
}

var (
	metricName = regexp.MustCompile(`^gamelan_[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	labelName  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	labelText  = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]*$`)
)

// check checks a metric that all fields have described.
func (t *metricTable) check(m *Metric) {
	wrong := func(format string, args ...any) {
		t.err = errors.Join(t.err, fmt.Errorf("models: metric %s: %s", m.Name, fmt.Sprintf(format, args...)))
	}
	bare := strings.TrimSuffix(m.Name, "_total")
	switch {
	case !metricName.MatchString(m.Name):
		wrong("its name is not words of a-z and 0-9 with _ between them")
	case m.Unit != "" && !strings.HasSuffix(bare, "_"+m.Unit):
		wrong("its name does not end in its unit, %s", m.Unit)
	case !strings.HasSuffix(m.Help, "."):
		wrong("its tag help is no sentence")
	}
	for i := range m.Labels {
		l := &m.Labels[i]
		if !labelName.MatchString(l.Name) {
			wrong("%q is no name of a label", l.Name)
		}
		for _, v := range l.Values {
			if !labelText.MatchString(v) {
				wrong("%q is no value of the label %s", v, l.Name)
			}
		}
	}
}

// valueOf returns what stands in a label for a text: one of the label's values.
func (l *MetricLabel) valueOf(text string) string {
	text = LabelText(text)
	if _, ok := slices.BinarySearch(l.Values, text); ok {
		return text
	}
	return OtherValue
}

// LabelText returns a text as the value of a label is written: in small letters, with one _ for all
// between letters, digits, points and dashes.
func LabelText(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return !('A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '.' || r == '-')
	})
	return strings.ToLower(strings.Join(words, "_"))
}

// measure collects samples. Those with the same labels are added up.
type measure struct {
	table *metricTable
	all   []Sample
	at    map[string]int // of samples, by name and labels
}

// value collects the samples of v, whose labels are known so far.
func (m *measure) value(v reflect.Value, labels []labelValue) {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		if deref(v.Type().Elem()).Kind() == reflect.Struct {
			for i := range v.Len() {
				m.value(v.Index(i), labels)
			}
		}
	case reflect.Map:
		if deref(v.Type().Elem()).Kind() == reflect.Struct {
			for _, of := range v.Seq2() {
				m.value(of, labels)
			}
		}
	case reflect.Struct:
		if v.Type() != reflect.TypeFor[time.Time]() {
			m.members(v, labels)
		}
	}
}

func (m *measure) members(v reflect.Value, labels []labelValue) {
	fields := fieldsOf(v.Type())
	for i := range fields {
		if f := &fields[i]; f.isLabel {
			labels = append(slices.Clip(labels), labelValue{f.by, v.Field(f.index).String()})
		}
	}
	for i := range fields {
		f := &fields[i]
		switch x := v.Field(f.index); {
		case f.isLabel:
		case f.keyed:
			for k, of := range x.Seq2() {
				m.field(f, of, append(slices.Clip(labels), labelValue{f.by, k.String()}))
			}
		default:
			m.field(f, x, labels)
		}
	}
}

// field collects the samples of a field, or of an element of one that has keys.
func (m *measure) field(f *fieldTags, v reflect.Value, labels []labelValue) {
	labels = append(slices.Clip(labels), f.with...)
	if f.name == "" || v.Kind() == reflect.Slice {
		m.value(v, labels)
	}
	if f.name != "" {
		m.leaf(f, v, labels)
	}
}

// leaf collects a sample.
func (m *measure) leaf(f *fieldTags, v reflect.Value, labels []labelValue) {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !v.IsValid() { // nil: it is not known
		return
	}
	if v.Kind() == reflect.Map && !measurable(v.Type().Elem()) {
		m.sample(f.name, labels, float64(v.Len()), nil)
		return
	}
	if v.Kind() == reflect.Map {
		if !f.keyed { // added up, also when it is empty
			m.sample(f.name, labels, 0, nil)
		}
		for _, of := range v.Seq2() {
			m.leaf(f, of, labels)
		}
		return
	}
	if h, ok := reflect.TypeAssert[Histogram](v); ok {
		if len(h.Counts) == len(h.Bounds)+1 {
			m.sample(f.name, labels, 0, &h)
		}
		return
	}
	m.sample(f.name, labels, number(v)*f.scale, nil)
}

// number returns a figure as a number.
func number(v reflect.Value) float64 {
	switch {
	case v.Kind() == reflect.Bool:
		if v.Bool() {
			return 1
		}
		return 0
	case v.CanInt():
		return float64(v.Int())
	case v.CanUint():
		return float64(v.Uint())
	case v.CanFloat():
		return v.Float()
	case v.Kind() == reflect.Slice:
		return float64(v.Len())
	}
	if at := v.Interface().(time.Time); !at.IsZero() {
		return float64(at.UnixMilli()) / 1e3
	}
	return 0
}

func (m *measure) sample(name string, labels []labelValue, value float64, h *Histogram) {
	metric := m.table.metrics[name]
	s := Sample{Metric: metric, Value: value, Histogram: h, Labels: make([]string, len(metric.Labels))}
	for i := range metric.Labels {
		l := &metric.Labels[i]
		for _, x := range labels {
			if x.name == l.Name {
				s.Labels[i] = l.valueOf(x.value)
			}
		}
	}
	key := name + "\x00" + strings.Join(s.Labels, "\x00")
	i, ok := m.at[key]
	if !ok {
		m.at[key] = len(m.all)
		m.all = append(m.all, s)
		return
	}
	was := &m.all[i]
	was.Value += value
	if h == nil || was.Histogram == nil || !slices.Equal(h.Bounds, was.Histogram.Bounds) {
		return
	}
	sum := Histogram{Bounds: h.Bounds, Counts: slices.Clone(h.Counts), Sum: h.Sum + was.Histogram.Sum}
	for i, n := range was.Histogram.Counts {
		sum.Counts[i] += n
	}
	was.Histogram = &sum
}

// fieldTags is a field of a struct that may have metrics.
type fieldTags struct {
	metricField
	index   int
	isLabel bool // a text that is the value of a label
	keyed   bool // a map whose keys are the values of a label
}

var taggedFields sync.Map // reflect.Type → []fieldTags

// fieldsOf returns the fields of a struct that may have metrics.
func fieldsOf(of reflect.Type) []fieldTags {
	if list, ok := taggedFields.Load(of); ok {
		return list.([]fieldTags)
	}
	list := []fieldTags{}
	for i := range of.NumField() {
		f := of.Field(i)
		if !f.IsExported() {
			continue
		}
		t := fieldTags{metricField: metricFieldOf(f), index: i}
		if t.skip {
			continue
		}
		t.isLabel = t.by != "" && t.name == "" && f.Type.Kind() == reflect.String
		t.keyed = t.by != "" && f.Type.Kind() == reflect.Map
		switch kind := deref(f.Type).Kind(); {
		case t.name != "", t.isLabel, kind == reflect.Struct, kind == reflect.Slice, kind == reflect.Array, kind == reflect.Map:
			list = append(list, t)
		}
	}
	stored, _ := taggedFields.LoadOrStore(of, list)
	return stored.([]fieldTags)
}
