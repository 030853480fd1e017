"""Pictures to pretrain a small detector on: drawn shapes, letters and cut-out photographs on busy backgrounds.

The same seed and photographs give the same pixels with the same versions of NumPy and Pillow. The files, in the order
in which they import each other:

    arrays        the kinds of arrays, and blurring
    curves        closed curves, each from a formula
    outlines      the 64 drawn shapes, made of curves
    textures      noise, gradients, patterns and colours
    photos        the photographs that are given
    kinds         the classes, and what the objects of one picture have in common
    warps         random deformations of the plane
    cutouts       one object on a small canvas of its own
    backgrounds   what is behind the objects
    paint         an object becomes part of the picture
    layout        how large the picture is, and where its objects go
    camera        what a camera does to a picture
    scene         one picture and its boxes
    write         a data set of many
"""
