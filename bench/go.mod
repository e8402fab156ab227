module github.com/crmgate/crmgate/bench

go 1.26
