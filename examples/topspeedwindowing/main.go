// Command topspeedwindowing follows cars: whenever a car has driven 50 m more, it prints the record with its highest
// speed in the 10 seconds before.
//
//	topspeedwindowing [--events n] [--rate n] [--output directory]
//
// With --events 0, the default, it runs until it is cancelled.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/weftstream/weft/connector/console"
	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/stream"
)

const (
	cars = 2
	// step is the time between two records of a car.
	step     = 100 * time.Millisecond
	keep     = 10 * time.Second
	distance = 50 // metres
)

// Car is where a car is and how fast.
type Car struct {
	ID       int32
	Speed    int32   // km/h
	Distance float64 // driven, in metres
	At       stream.Time
}

// String is what is printed.
func (c Car) String() string { return fmt.Sprintf("(%d,%d,%.3f,%d)", c.ID, c.Speed, c.Distance, c.At) }

// Params are the job's. Rate is in records per second, 0 without bound; Output "" prints.
type Params struct {
	Events int64
	Rate   float64
	Output string
}

var topSpeed = stream.Define("topspeedwindowing", func(env *stream.Env, p Params) error {
	// One subtask makes all cars, so that a car's records come in order.
	made := stream.From(env, datagen.New(p.Events, newCars, datagen.Rate(p.Rate))).UID("cars").Parallelism(1)
	timed := made.Timestamps(func(c Car) stream.Time { return c.At }).UID("times").Parallelism(1)
	top := stream.KeyBy(timed, func(c Car) int32 { return c.ID }).
		Window(stream.Global()).
		EvictTime(keep).
		TriggerDelta(distance, func(last, c Car) float64 { return c.Distance - last.Distance }).
		Reduce(faster).UID("top")
	text := stream.Map(top, Car.String).UID("text")
	if p.Output == "" {
		text.To(console.Print[string]()).UID("print")
		return nil
	}
	text.To(file.Text(p.Output)).UID("output")
	return nil
})

// faster is the faster of two records, the earlier one when they are equally fast.
func faster(a, b Car) Car {
	if b.Speed > a.Speed {
		return b
	}
	return a
}

// newCars makes the cars of a subtask. The seed is fixed: every run makes the same records.
func newCars(rt *stream.Runtime) func(i int64) Car {
	random := rand.New(rand.NewPCG(1, uint64(rt.Subtask)))
	var state [cars]Car
	for i := range state {
		state[i] = Car{ID: int32(i), Speed: 50}
	}
	return func(i int64) Car {
		c := &state[i%cars]
		if random.IntN(2) == 0 {
			c.Speed = min(100, c.Speed+5)
		} else {
			c.Speed = max(0, c.Speed-5)
		}
		c.Distance += float64(c.Speed) / 3.6
		c.At = stream.Time(i / cars * step.Milliseconds())
		return *c
	}
}

func main() {
	stream.Main(func(ctx context.Context, d *stream.Driver) error {
		var p Params
		flags := flag.NewFlagSet("topspeedwindowing", flag.ContinueOnError)
		flags.Int64Var(&p.Events, "events", 0, "number of records; 0: for ever")
		flags.Float64Var(&p.Rate, "rate", -1, "records per second, 0 without bound; by default 20, and without bound when there are --events")
		flags.StringVar(&p.Output, "output", "", "directory to write; it must be empty or missing")
		if err := flags.Parse(os.Args[1:]); err != nil {
			return err
		}
		if p.Rate < 0 {
			p.Rate = 0
			if p.Events == 0 {
				p.Rate = 20
			}
		}
		if p.Events == 0 && p.Output != "" {
			return errors.New("--output needs --events: what is written becomes visible when the job ends")
		}
		_, err := topSpeed.Run(ctx, d, p)
		return err
	})
}
