# Accuracy against noise, one line for each number of ADC bits.
# Set before loading: csv, png (paths), f32 (the accuracy without hardware, in percent).
set encoding utf8
set datafile separator ','
stats csv using 1 skip 1 nooutput
last = STATS_columns

set terminal pngcairo size 1200, 750 font 'Sans,14'
set output png
set title "Fashion-MNIST on simulated noisy hardware\n{/*0.8 784-512-10 network, 8-bit DACs and weights, noise and ADC in both layers}"
set xlabel "noise σ in front of each ADC, in units of half the ADC's range" offset 0, -0.3
set ylabel 'test accuracy'
set xrange [0:STATS_max]
set yrange [0:100]
set ytics 10 format '%g %%'
set border 3 lw 1.2 lc rgb '#555555'
set tics nomirror out scale 0.6
set grid lc rgb '#e4e4e4' lt 1 lw 1
set key outside right center Left reverse invert spacing 1.6 samplen 2.5 title 'ADC' left

set label sprintf('f32, no hardware: %.1f %%', f32) at graph 1, first f32 right offset -0.5, 0.7 \
    font ',12' tc rgb '#777777'
set label 'guessing' at graph 1, first 10 right offset -0.5, -0.7 font ',12' tc rgb '#777777'

# Few bits dark, many bits bright.
set palette defined (0 '#440154', 0.25 '#3b528b', 0.5 '#21918c', 0.75 '#5ec962', 1 '#e8b41c')
set cbrange [2:last]
unset colorbox
set style line 1 lw 2.8 pt 7 ps 1.1

plot f32 with lines dt 2 lw 2 lc rgb '#999999' notitle, \
     10 with lines dt 2 lw 2 lc rgb '#cccccc' notitle, \
     for [i=2:last] csv using 1:i:(i) with linespoints ls 1 lc palette title columnhead(i)
