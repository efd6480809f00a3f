package catalog

var clientRows = []Row{}
