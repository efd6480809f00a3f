package catalog

var pkiRows = []Row{}
