package registry

import (
	"imprimatur.dev/catalogue"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// knownCases refuses misuse cases that the catalogue has not, for nothing could ever
// try them.
func knownCases(u record.UseCase) error {
	if len(u.Misuse) == 0 {
		return nil
	}
	if u.Catalogue != catalogue.Current {
		return refusef(wire.Invalid, "the misuse cases are from the edition %q of the catalogue, and this server has %s; choose from that, as imprimatur usecase cases of the same version shows", u.Catalogue, catalogue.Current)
	}
	for _, m := range u.Misuse {
		if _, ok := catalogue.Lookup(m.Case); !ok {
			return refusef(wire.Invalid, "the catalogue %s has no misuse case %q; imprimatur usecase cases shows them", catalogue.Current, m.Case)
		}
	}
	return nil
}
