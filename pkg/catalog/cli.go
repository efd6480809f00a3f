package catalog

var cliRows = []Row{}
