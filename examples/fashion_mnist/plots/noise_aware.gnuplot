# Accuracy against noise, of a plain and a noise-aware network on hardware of a profile.
# Set before loading: csv, png (paths), f32 (the plain network's accuracy without hardware, in
# percent), profile, bits, own (the profile's noise level), seeds (how many were averaged).
set encoding utf8
set datafile separator ','
stats csv using 1 skip 1 nooutput
last = STATS_max
lowest = 100.0
do for [i=2:6:2] {
  stats csv using i skip 1 nooutput
  lowest = STATS_min < lowest ? STATS_min : lowest
}
lowest = 10 * floor((lowest - 5) / 10)

set terminal pngcairo size 1200, 750 font 'Sans,14'
set output png
averaged = seeds > 1 ? sprintf(', mean and standard deviation of %d seeds', seeds) : ''
set title sprintf("Fashion-MNIST on simulated hardware “%s”\n784-512-10 network, converters and weights of %d bits%s", \
    profile, bits, averaged) noenhanced
set xlabel "noise level of the hardware: σ of its shot noise at a signal of 1" offset 0, -0.3
set ylabel 'test accuracy'
set xrange [0:last]
set yrange [(lowest < 0 ? 0 : lowest):100]
set ytics 10 format '%g %%'
set border 3 lw 1.2 lc rgb '#555555'
set tics nomirror out scale 0.6
set grid lc rgb '#e4e4e4' lt 1 lw 1
set key outside top center horizontal maxrows 1 Left reverse invert samplen 2.5

set label sprintf('plain, in f32, no hardware: %.1f %%', f32) at graph 1, first f32 right \
    offset -0.5, 0.8 font ',12' tc rgb '#777777'
set arrow from own, graph 0 to own, graph 1 nohead dt 3 lw 2 lc rgb '#999999' back
set label 'trained for' at own, graph 0.97 left offset 0.7, 0 font ',12' tc rgb '#777777'

plot f32 with lines dt 2 lw 2 lc rgb '#999999' notitle, \
     csv using 1:2:3 skip 1 with yerrorlines lw 2.8 pt 7 ps 1.1 lc rgb '#9fb0d8' \
         title 'plain, wide ranges', \
     csv using 1:4:5 skip 1 with yerrorlines lw 2.8 pt 7 ps 1.1 lc rgb '#3b528b' \
         title 'plain, best ranges', \
     csv using 1:6:7 skip 1 with yerrorlines lw 2.8 pt 7 ps 1.1 lc rgb '#e8821c' title 'noise-aware'
