package catalog

var replyRows = []Row{}
