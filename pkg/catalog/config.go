package catalog

var configRows = []Row{}
