package catalog

var consoleRows = []Row{}
