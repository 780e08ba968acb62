package verdict

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// together is how far apart the silences of members may begin to have one cause.
const together = 30 * time.Second

// Member is what Look asks of each member.
type Member struct {
	Name string
	// Heard, Silent and Asked are those of its Window; Silent is earlier where the verdict in force says so.
	Heard, Silent, Asked time.Time
	// Dead says that the API is silent for certain.
	Dead bool
	// Confirmed says that most witnesses that can be heard see it dead (Evidence.Confirmed).
	Confirmed bool
}

// View is what the control plane can believe of its own view of the members.
type View struct {
	// Isolated says that the control plane takes itself to be cut off; Silent are the members that turned silent together.
	Isolated bool
	Silent   []string
	Members  int
	frozen   map[string]bool
	// thawed is since when enough others have been heard since a member turned silent.
	thawed map[string]time.Time
}

// Frozen says that a member must not become Down: too many others were not heard since it turned silent.
func (v View) Frozen(name string) bool { return v.frozen[name] }

// Message says in words what was seen.
func (v View) Message() string {
	if !v.Isolated {
		return "most members answer, or witnesses account for their silence"
	}
	return fmt.Sprintf("%d of %d members turned silent together, and no witness that can be heard sees them dead (%s): the control plane takes itself to be cut off and moves nothing; "+
		"look at its own network first", len(v.Silent), v.Members, strings.Join(v.Silent, ", "))
}

// Look tells members that died from a control plane that is cut off. A member whose silence began at T is frozen until at least
// half of those members that were not silent long before T have answered after T, and it was asked once more after that in
// vain; or until most witnesses that can be heard see it dead. So a member is Down only after others have proven that the
// control plane can be answered at all, at that time: which of many probes fails first, and which succeeds first again, does
// not matter.
//
// A federation of one can't tell its own isolation from its member's death: the member is Unreachable, never Down, and there is
// nowhere to move to. Of two, one that is silent alone is judged by its evidence; both together are isolation. Of three, two
// that are silent together are isolation unless the third one's witness sees them dead.
func Look(members []Member, before View, now time.Time) View {
	view := View{frozen: map[string]bool{}, thawed: map[string]time.Time{}, Members: len(members)}
	for _, m := range members {
		if m.Silent.IsZero() || m.Confirmed {
			continue
		}
		known, unheard, dead := beside(m, members)
		if 2*len(dead) > known && len(dead) > len(view.Silent) {
			view.Isolated, view.Silent = true, dead
		}
		if 2*unheard > known {
			view.frozen[m.Name] = true
			continue
		}
		thawed, ok := before.thawed[m.Name]
		if !ok {
			thawed = now
		}
		view.thawed[m.Name], view.frozen[m.Name] = thawed, !m.Asked.After(thawed)
	}
	slices.Sort(view.Silent)
	return view
}

// beside counts the members whose silence would have the same cause as m's: of those known, how many were not heard since it
// began, and which are silent for certain. It counts m itself.
func beside(m Member, members []Member) (known, unheard int, dead []string) {
	for _, o := range members {
		switch {
		case !o.Silent.IsZero() && m.Silent.Sub(o.Silent) > together:
			continue // it has been silent for long: of another cause
		case o.Silent.IsZero() && o.Heard.IsZero():
			continue // not asked yet
		}
		known++
		began := !o.Silent.IsZero() && o.Silent.Sub(m.Silent) <= together
		if o.Confirmed || !began && o.Heard.After(m.Silent) {
			continue
		}
		unheard++
		if o.Dead {
			dead = append(dead, o.Name)
		}
	}
	return known, unheard, dead
}
