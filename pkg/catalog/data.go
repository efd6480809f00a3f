package catalog

var dataRows = []Row{}
