package postgres

import (
	"encoding/binary"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// Parameters and rows are coded here by hand, in PostgreSQL's binary format: the hot calls have some fifty array
// parameters, and a type map would look up each of them by reflection.

// Type numbers of the server, as in its catalog pg_type.
const (
	oidBool      = 16
	oidInt8      = 20
	oidInt2      = 21
	oidInt4      = 23
	oidText      = 25
	oidJSON      = 114
	oidInterval  = 1186
	oidTimestamp = 1184 // timestamptz
	oidUUID      = 2950
	oidXID8      = 5069
)

// arrayOf maps the number of an element type to that of its array type.
var arrayOf = map[uint32]uint32{
	oidBool: 1000, oidInt8: 1016, oidInt2: 1005, oidInt4: 1007, oidText: 1009, oidJSON: 199,
	oidInterval: 1187, oidTimestamp: 1185, oidUUID: 2951, oidXID8: 271,
}

// param is one parameter of a call: nil data is null.
type param struct {
	oid  uint32
	data []byte
}

func int8Param(v int64) param {
	return param{oidInt8, binary.BigEndian.AppendUint64(nil, uint64(v))}
}

func int4Param(v int) param {
	return param{oidInt4, binary.BigEndian.AppendUint32(nil, uint32(int32(v)))}
}

func int2Param(v int16) param {
	return param{oidInt2, binary.BigEndian.AppendUint16(nil, uint16(v))}
}

func textParam(s string) param { return param{oidText, append([]byte{}, s...)} }

func boolParam(v bool) param {
	if v {
		return param{oidBool, []byte{1}}
	}
	return param{oidBool, []byte{0}}
}

func intervalParam(d time.Duration) param { return param{oidInterval, appendInterval(nil, d)} }

func appendInterval(dst []byte, d time.Duration) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(d.Microseconds()))
	return binary.BigEndian.AppendUint64(dst, 0) // days and months
}

func classesParam(ids []provider.ClassID) param {
	c := newColumn(oidInt4, len(ids))
	for _, id := range ids {
		c.int4(int32(id))
	}
	if len(ids) == 0 {
		return param{arrayOf[oidInt4], emptyArray(oidInt4)}
	}
	return c.param()
}

// arrayHeader is the length of what precedes the elements of a one-dimensional array.
const arrayHeader = 20

// column builds a one-dimensional array. An array without elements is sent as null: the functions skip its statement.
type column struct {
	elem  uint32
	n     uint32
	nulls uint32
	some  bool // an element that is not null
	room  int  // bytes the elements are expected to need
	buf   []byte
}

// newColumn makes a column for about n elements; its buffer is made with the first.
func newColumn(elem uint32, n int) *column { return &column{elem: elem, room: 16 * n} }

// newDocuments makes a column for n documents of this many bytes together.
func newDocuments(n, bytes int) *column { return &column{elem: oidJSON, room: 4*n + bytes} }

func (c *column) param() param {
	p := param{oid: arrayOf[c.elem]}
	if c.n == 0 {
		return p
	}
	binary.BigEndian.PutUint32(c.buf[0:], 1)
	binary.BigEndian.PutUint32(c.buf[4:], c.nulls)
	binary.BigEndian.PutUint32(c.buf[8:], c.elem)
	binary.BigEndian.PutUint32(c.buf[12:], c.n)
	binary.BigEndian.PutUint32(c.buf[16:], 1)
	p.data = c.buf
	return p
}

// paramIfAny is param, but null also if no element is set.
func (c *column) paramIfAny() param {
	if !c.some {
		return param{oid: arrayOf[c.elem]}
	}
	return c.param()
}

func emptyArray(elem uint32) []byte {
	var b [12]byte
	binary.BigEndian.PutUint32(b[8:], elem)
	return b[:]
}

// next begins an element.
func (c *column) next() {
	if c.buf == nil {
		c.buf = make([]byte, arrayHeader, arrayHeader+c.room)
	}
	c.n++
}

func (c *column) size(n int) {
	c.next()
	c.some = true
	c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(n))
}

func (c *column) null() {
	c.next()
	c.nulls = 1
	c.buf = binary.BigEndian.AppendUint32(c.buf, 0xffffffff)
}

func (c *column) int2(v int16) {
	c.size(2)
	c.buf = binary.BigEndian.AppendUint16(c.buf, uint16(v))
}

func (c *column) int4(v int32) {
	c.size(4)
	c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(v))
}

func (c *column) int8(v int64) {
	c.size(8)
	c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(v))
}

func (c *column) bool(v bool) {
	c.size(1)
	if v {
		c.buf = append(c.buf, 1)
	} else {
		c.buf = append(c.buf, 0)
	}
}

func (c *column) text(s string) {
	c.size(len(s))
	c.buf = append(c.buf, s...)
}

// flag appends true or, as what is not set, null.
func (c *column) flag(v bool) {
	if v {
		c.bool(true)
	} else {
		c.null()
	}
}

// bytes appends a document; nil is null.
func (c *column) bytes(b []byte) {
	if b == nil {
		c.null()
		return
	}
	c.size(len(b))
	c.buf = append(c.buf, b...)
}

func (c *column) uuid(id [16]byte) {
	c.size(16)
	c.buf = append(c.buf, id[:]...)
}

func (c *column) time(t time.Time) {
	c.size(8)
	c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(t.UnixMicro()-epochMicros))
}

func (c *column) interval(d time.Duration) {
	c.size(16)
	c.buf = appendInterval(c.buf, d)
}

// waitsLiteral writes names of events, each once, in PostgreSQL's text form of an array.
func waitsLiteral(values []string) string {
	b := []byte{'{'}
	seen := make(map[string]bool, len(values))
	for _, v := range values {
		if seen[v] {
			continue
		}
		seen[v] = true
		if len(b) > 1 {
			b = append(b, ',')
		}
		v = storedName(v)
		b = append(b, '"')
		for i := 0; i < len(v); i++ {
			if v[i] == '"' || v[i] == '\\' {
				b = append(b, '\\')
			}
			b = append(b, v[i])
		}
		b = append(b, '"')
	}
	return string(append(b, '}'))
}

// epochMicros is PostgreSQL's epoch, 2000-01-01 UTC, in microseconds of Unix time.
const epochMicros = 946_684_800_000_000

// row is one row of the type reply, as sent by the server. It is valid until the next one is read.
type row struct {
	kind, flags, part int16
	iid               int64
	n1, n2, n3, n4    int32
	num               int64
	at                time.Time
	name, id          []byte
	body              []byte
	statuses, refs    []byte
}

// The kinds of row.
const (
	rowSummary   = 0 // clock; statuses and refs answer the items of the call
	rowMessage   = 2
	rowGranted   = 3
	rowTurn      = 4
	rowWork      = 5
	rowState     = 6
	rowStale     = 7
	rowNextTimer = 8
	rowLowWater  = 9
	rowAgain     = 10
	rowGone      = 11
	rowValue     = 12
	rowClass     = 13
)

// replyColumns is how many columns the type reply has.
const replyColumns = 15

func (r *row) decode(v [][]byte) {
	r.kind, r.flags, r.part = getInt2(v[0]), getInt2(v[1]), getInt2(v[2])
	r.iid = getInt8(v[3])
	r.n1, r.n2, r.n3, r.n4 = getInt4(v[4]), getInt4(v[5]), getInt4(v[6]), getInt4(v[7])
	r.num = getInt8(v[8])
	r.at = getTime(v[9])
	r.name, r.id, r.body, r.statuses, r.refs = v[10], v[11], v[12], v[13], v[14]
}

func (r *row) ref() provider.Ref { return provider.Ref{Part: r.part, Row: r.iid} }

// document returns a copy of the row's document.
func (r *row) document() []byte {
	if r.body == nil {
		return nil
	}
	return append(make([]byte, 0, len(r.body)), r.body...)
}

func getInt2(b []byte) int16 {
	if len(b) < 2 {
		return 0
	}
	return int16(binary.BigEndian.Uint16(b))
}

func getInt4(b []byte) int32 {
	if len(b) < 4 {
		return 0
	}
	return int32(binary.BigEndian.Uint32(b))
}

func getInt8(b []byte) int64 {
	if len(b) < 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

func getTime(b []byte) time.Time {
	if len(b) < 8 {
		return time.Time{}
	}
	return time.UnixMicro(getInt8(b) + epochMicros).UTC()
}

// eachElement calls f for the elements of a one-dimensional array in order; null elements are nil.
func eachElement(b []byte, f func(i int, elem []byte)) {
	if len(b) < arrayHeader {
		return
	}
	n := int(binary.BigEndian.Uint32(b[12:]))
	b = b[arrayHeader:]
	for i := 0; i < n && len(b) >= 4; i++ {
		size := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		if size < 0 {
			f(i, nil)
			continue
		}
		if int(size) > len(b) {
			return
		}
		f(i, b[:size])
		b = b[size:]
	}
}
