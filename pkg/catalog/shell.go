package catalog

var shellRows = []Row{}
