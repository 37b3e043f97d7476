module roma

go 1.19
