package catalog

var vfsRows = []Row{}
