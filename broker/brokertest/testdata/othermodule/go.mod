// A program that is not part of zurau and tests itself against a cluster. TestAnotherModule builds and runs it.
module example.org/service

go 1.26

require (
	github.com/IBM/sarama v1.61.1
	github.com/zurau/zurau v0.0.0
)

replace github.com/zurau/zurau => ../../../..
