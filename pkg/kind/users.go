package kind

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
)

// refIndex indexes the objects of kinds that depend on others by namespace and Refs. It is the informer's own index, not
// one of controller-runtime's: these hold each entry twice, and a look costs many times as much.
const refIndex = "kubefed.refs"

func indexersOf(k Kind) toolscache.Indexers {
	return toolscache.Indexers{refIndex: func(o any) ([]string, error) {
		obj, ok := o.(*unstructured.Unstructured)
		if !ok {
			return nil, fmt.Errorf("indexing %s: the cache holds %T", k.Kind, o)
		}
		refs := Refs(k, obj)
		values := make([]string, len(refs))
		for i, ref := range refs {
			values[i] = indexed(obj.GetNamespace(), ref)
		}
		return values, nil
	}}
}

func indexed(namespace string, ref Ref) string { return namespace + "/" + ref.Kind + "/" + ref.Name }

// Users visits the objects, federated or not, that refer to an object of their namespace; see Refs. It finds them
// through an index. The objects are shared: do not change them. The error is ErrNotSynced until all objects that could
// refer to it have been read once.
func (c *Catalog) Users(namespace string, ref Ref, visit func(k Kind, obj *unstructured.Unstructured)) error {
	users, err := c.usersOf(ref.GroupKind)
	if err != nil {
		return err
	}
	value := indexed(namespace, ref)
	for _, u := range users {
		found, err := u.objects.ByIndex(refIndex, value)
		if err != nil {
			return fmt.Errorf("listing the %s that use %s in namespace %s: %w", u.kind.Resource, ref, namespace, err)
		}
		for _, o := range found {
			if obj, ok := o.(*unstructured.Unstructured); ok {
				visit(u.kind, obj)
			}
		}
	}
	return nil
}

// userKind is a kind whose objects can refer to others, and these objects.
type userKind struct {
	kind    Kind
	objects toolscache.Indexer
}

// usersOf finds the kinds whose objects can refer to objects of a kind.
func (c *Catalog) usersOf(gk schema.GroupKind) ([]userKind, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.native { // only native kinds depend on others
		return nil, ErrNotSynced
	}
	users := make([]userKind, 0, 8)
	for _, k := range c.kinds {
		if !DependsOn(k, gk) {
			continue
		}
		informer, ok := c.informers[k.GroupKind()].(toolscache.SharedIndexInformer)
		if !ok {
			return nil, fmt.Errorf("looking for the %s that use %s: the cache has no index of them", k.Resource, gk)
		}
		if !informer.HasSynced() {
			return nil, ErrNotSynced
		}
		users = append(users, userKind{k, informer.GetIndexer()})
	}
	return users, nil
}
