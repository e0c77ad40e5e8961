package sqlite

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/pawlrun/pawl/provider"
)

// textCheck looks at all text of a call before anything of it is stored. What is not UTF-8, or has a NUL, would come
// back changed or cut off in some tool, so it is refused.
type textCheck struct{ bad bool }

func (c *textCheck) strings(texts ...string) {
	for _, s := range texts {
		c.bad = c.bad || strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s)
	}
}

func (c *textCheck) documents(documents ...[]byte) {
	for _, d := range documents {
		c.bad = c.bad || !utf8.Valid(d)
	}
}

func (c *textCheck) message(m *provider.NewMessage) {
	c.strings(m.Target, m.Name, m.ID)
	c.documents(m.Body)
}

func (c *textCheck) instance(n *provider.NewInstance) {
	c.strings(n.InstanceID)
	c.documents(n.Events, n.ExistsBody)
	if n.Parent != nil {
		c.strings(n.Parent.InstanceID)
	}
	c.values(n.Values)
}

func (c *textCheck) commit(commit *provider.Commit) {
	c.strings(commit.Waits...)
	c.documents(commit.Events)
	for n := range commit.Work {
		c.documents(commit.Work[n].Input)
	}
	for n := range commit.Children {
		c.instance(&commit.Children[n])
	}
	for n := range commit.Messages {
		c.message(&commit.Messages[n])
	}
	if commit.Next != nil {
		c.documents(commit.Next.Events)
	}
	c.documents(commit.CustomStatus)
	c.values(commit.Values)
}

func (c *textCheck) values(values []provider.Value) {
	for n := range values {
		c.strings(values[n].Key)
		c.documents(values[n].Data)
	}
}

var errBadText = errors.New("text that is not UTF-8, or has a NUL character, cannot be stored")

// problem returns the error of a call with such text, nil if all is well.
func (c *textCheck) problem(op string) error {
	if c.bad {
		return classify(op, errBadText)
	}
	return nil
}

// checkNames checks texts that only select.
func checkNames(op string, names ...string) error {
	var c textCheck
	c.strings(names...)
	return c.problem(op)
}
