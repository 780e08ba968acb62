package placement

// preferences are Federation v1's annotations on an object, read.
type preferences struct{}

func preferencesOf(*Object) *preferences { return nil }

func (*preferences) selects(*Cluster) bool { return true }

func (*preferences) divides() bool { return false }

func (*preferences) plan(*question, []candidate) {}
