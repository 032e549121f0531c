package lineage

import "imprimatur.dev/record"

// vendors reads what is known of the vendors on which the release rests: who renews what assures
// of them, and all that was stated of their documents.
func (c *collector) vendors() error {
	versions := []record.ModelVersion{c.d.Version.Record}
	for _, b := range c.d.Bases {
		versions = append(versions, b.Record)
	}
	c.d.Vendors = record.VendorsUsed(c.d.Release.Record, versions)
	for i := range c.d.Vendors {
		f := &c.d.Vendors[i]
		ref := record.TeamOf(c.d.Release.Record.Behaviour.Model) + "/" + f.Name
		var err error
		if f.Stated, _, err = Last[record.ModelVendor](c, record.KeyVendor(ref)); err != nil {
			return err
		}
		if f.Assurances, err = All[record.Assurance](c, record.KeyAssurances(ref)); err != nil {
			return err
		}
		c.names(f.Stated.Record.Owner)
	}
	return nil
}
