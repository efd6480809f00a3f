package catalog

var usersRows = []Row{}
