package replay

import "github.com/pawlrun/pawl/history"

// Patched reports whether code that has changed is to run as it is now: true for an execution that reaches the patch for
// the first time, which is recorded, and false for one that passed this place before the patch existed. The answer for an
// id stays the same for the whole execution.
func (x *Execution) Patched(id string) bool {
	x.enter()
	if known, ok := x.patches[id]; ok {
		return known
	}
	x.skipPatchesBut(id)
	if known, ok := x.patches[id]; ok {
		return known
	}
	switch marked, _ := x.nextRecorded().(*history.PatchMarked); {
	case marked != nil:
		x.passPatch(marked)
	case x.live && len(x.recorded) == 0:
		x.append(&history.PatchMarked{ID: id})
		x.notePatch(id, true)
	default:
		x.notePatch(id, false)
	}
	return x.patches[id]
}

func (x *Execution) nextRecorded() history.Event {
	if len(x.recorded) == 0 {
		return nil
	}
	return x.recorded[0]
}

// skipPatches passes the marks of patches that the code has no more: nothing depends on them.
func (x *Execution) skipPatches() { x.skipPatchesBut("") }

func (x *Execution) skipPatchesBut(id string) {
	for {
		marked, _ := x.nextRecorded().(*history.PatchMarked)
		if marked == nil || id != "" && marked.ID == id {
			return
		}
		x.passPatch(marked)
	}
}

func (x *Execution) passPatch(marked *history.PatchMarked) {
	x.notePatch(marked.ID, true)
	x.recorded = x.recorded[1:]
	x.next++
}

// notePatch notes the answer for an id, unless there is one already.
func (x *Execution) notePatch(id string, patched bool) {
	if _, known := x.patches[id]; known {
		return
	}
	if x.patches == nil {
		x.patches = map[string]bool{}
	}
	x.patches[id] = patched
}
