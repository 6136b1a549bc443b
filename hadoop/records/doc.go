// Package records holds the plain types of YARN's API: identifiers, resources,
// containers and what a container is launched with. They are what packages
// webservice, amrm, nm and the YARN provider hand to each other, and know
// nothing of any wire format.
//
// All types are values. They hold no locks; a slice or map inside one belongs
// to whoever received the value.
package records
