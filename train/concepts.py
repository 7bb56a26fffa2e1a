"""What the model can draw: a short list of common objects, each with the words people use for it.

Decision: about 280 objects that look alike in four emoji sets, so that every picture is seen hundreds of times in the
hours two CPU cores have. Where Unicode has both a face and a whole animal ("dog face", "dog") only the face is kept and
called by the plain word. Rejected: all 3,900 icon names (49,000 samples of those taught the network nothing recognisable).

Each line below is `icon-name` or `icon-name: word | word`; the words are what captions use (default: the name itself).
"""

STYLES = {  # style word -> (iconify set, how often it is picked)
    "noto": ("noto", 1.0),
    "twemoji": ("twemoji", 1.0),
    "flat": ("fluent-emoji-flat", 1.0),
    "fluent": ("fluent-emoji", 0.8),
}

LINES = """
dog-face: dog | dog face
cat-face: cat | cat face
mouse-face: mouse | mouse face
hamster: hamster
rabbit-face: rabbit | bunny | rabbit face
fox: fox | fox face
bear: bear | bear face
panda: panda | panda face
koala: koala
tiger-face: tiger | tiger face
lion: lion | lion face
cow-face: cow | cow face
pig-face: pig | pig face
frog: frog | frog face
monkey-face: monkey | monkey face
horse-face: horse | horse face
unicorn: unicorn
wolf: wolf | wolf face
raccoon: raccoon
dragon-face: dragon | dragon face
chicken: chicken | hen
penguin: penguin
bird: bird
baby-chick: chick | baby chick
duck: duck
owl: owl
parrot: parrot
flamingo: flamingo
peacock: peacock
bat: bat
honeybee: bee | honeybee
butterfly: butterfly
snail: snail
lady-beetle: ladybug | lady beetle
spider: spider
turtle: turtle
snake: snake
t-rex: dinosaur | t-rex
octopus: octopus
crab: crab
fish: fish
tropical-fish: tropical fish
blowfish: blowfish | puffer fish
dolphin: dolphin
shark: shark
whale: whale
elephant: elephant
giraffe: giraffe
zebra: zebra
ewe: sheep | ewe
hedgehog: hedgehog
paw-prints: paw prints | paws
spiral-shell: shell | spiral shell
red-apple: apple | red apple
pear: pear
tangerine: orange | tangerine
lemon: lemon
banana: banana
watermelon: watermelon
grapes: grapes
strawberry: strawberry
blueberries: blueberries
cherries: cherries
peach: peach
mango: mango
pineapple: pineapple
coconut: coconut
kiwi-fruit: kiwi | kiwi fruit
tomato: tomato
eggplant: eggplant
avocado: avocado
broccoli: broccoli
hot-pepper: chili | hot pepper
ear-of-corn: corn | ear of corn
carrot: carrot
onion: onion
mushroom: mushroom
bread: bread
croissant: croissant
pretzel: pretzel
pancakes: pancakes
waffle: waffle
cheese-wedge: cheese
meat-on-bone: meat | meat on a bone
bacon: bacon
hamburger: hamburger | burger
french-fries: french fries | fries
pizza: pizza
hot-dog: hot dog
sandwich: sandwich
taco: taco
egg: egg
popcorn: popcorn
sushi: sushi
rice-ball: rice ball
steaming-bowl: noodles | ramen
soft-ice-cream: soft ice cream | ice cream
doughnut: donut | doughnut
cookie: cookie
birthday-cake: birthday cake | cake
cupcake: cupcake
chocolate-bar: chocolate | chocolate bar
candy: candy
lollipop: lollipop
honey-pot: honey | honey pot
hot-beverage: coffee | hot coffee
wine-glass: wine | glass of wine
cocktail-glass: cocktail
beer-mug: beer | mug of beer
glass-of-milk: milk | glass of milk
fork-and-knife: fork and knife
spoon: spoon
bouquet: bouquet | flowers
cherry-blossom: cherry blossom
rose: rose
sunflower: sunflower
blossom: blossom | flower
tulip: tulip
seedling: seedling | sprout
potted-plant: potted plant
evergreen-tree: evergreen tree | fir tree
deciduous-tree: tree
palm-tree: palm tree | palm
cactus: cactus
four-leaf-clover: four leaf clover
maple-leaf: maple leaf
fallen-leaf: fallen leaf | leaves
christmas-tree: christmas tree
grinning-face: grinning face | smiley
grinning-squinting-face: laughing face | squinting face
face-with-tears-of-joy: tears of joy | face with tears of joy
smiling-face-with-halo: angel face | smiling face with halo
smiling-face-with-heart-eyes: heart eyes | face with heart eyes
star-struck: star eyes | star struck face
face-blowing-a-kiss: face blowing a kiss
smiling-face-with-sunglasses: cool face | face with sunglasses
nerd-face: nerd face | face with glasses
winking-face: winking face
thinking-face: thinking face
neutral-face: neutral face
slightly-smiling-face: smiling face | smile
slightly-frowning-face: sad face | frowning face
crying-face: crying face
loudly-crying-face: loudly crying face
angry-face: angry face
flushed-face: flushed face
face-screaming-in-fear: screaming face
sleeping-face: sleeping face
face-with-medical-mask: face with mask
nauseated-face: sick face | green face
cold-face: cold face | blue face
cowboy-hat-face: cowboy face
clown-face: clown | clown face
smiling-face-with-horns: devil | purple devil
ghost: ghost
skull: skull
alien: alien
robot: robot
jack-o-lantern: pumpkin | jack-o-lantern
pile-of-poo: poo
red-heart: red heart | heart
blue-heart: blue heart
green-heart: green heart
yellow-heart: yellow heart
purple-heart: purple heart
orange-heart: orange heart
black-heart: black heart
broken-heart: broken heart
sparkling-heart: sparkling heart
fire: fire | flame
star: star
sparkles: sparkles
sun: sun
full-moon: full moon | moon
crescent-moon: crescent moon
cloud: cloud
cloud-with-rain: cloud with rain | rain
rainbow: rainbow
snowflake: snowflake
snowman-without-snow: snowman
droplet: droplet | water drop
water-wave: wave
high-voltage: lightning | lightning bolt
globe-showing-europe-africa: earth | globe
ringed-planet: planet | saturn
volcano: volcano
snow-capped-mountain: snowy mountain
desert-island: island | desert island
house: house
house-with-garden: house with garden
castle: castle
ferris-wheel: ferris wheel
church: church
automobile: car | red car
sport-utility-vehicle: suv | blue car
bus: bus
police-car: police car
ambulance: ambulance
tractor: tractor
motorcycle: motorcycle
bicycle: bicycle | bike
train: train
airplane: airplane | plane
helicopter: helicopter
rocket: rocket
flying-saucer: ufo | flying saucer
sailboat: sailboat
ship: ship
anchor: anchor
vertical-traffic-light: traffic light
soccer-ball: soccer ball | football
basketball: basketball
american-football: american football
baseball: baseball
tennis: tennis ball
pool-8-ball: eight ball | pool ball
trophy: trophy | golden cup
balloon: balloon
wrapped-gift: gift | present
teddy-bear: teddy bear
game-die: die | dice
puzzle-piece: puzzle piece
video-game: game controller
artist-palette: palette | paint palette
crown: crown
top-hat: top hat
graduation-cap: graduation cap
sunglasses: sunglasses
t-shirt: t-shirt | shirt
jeans: jeans | trousers
dress: dress
scarf: scarf
socks: socks
running-shoe: running shoe | sneaker
high-heeled-shoe: high heel | red shoe
handbag: handbag
gem-stone: gem | diamond
ring: ring
umbrella: umbrella
guitar: guitar
trumpet: trumpet
drum: drum
musical-note: musical note
headphone: headphones
bell: bell
television: television | tv
laptop: laptop
mobile-phone: mobile phone
telephone: telephone
camera: camera
battery: battery
light-bulb: light bulb
red-paper-lantern: lantern
alarm-clock: alarm clock | clock
hourglass-done: hourglass
key: key
locked: lock | padlock
hammer: hammer
wrench: wrench
gear: gear
magnet: magnet
telescope: telescope
microscope: microscope
pill: pill
bomb: bomb
magic-wand: magic wand
crystal-ball: crystal ball
scissors: scissors
pencil: pencil
books: books
closed-book: book
envelope: envelope | letter
package: package | box
soap: soap
bed: bed
door: door
shopping-cart: shopping cart
money-bag: money bag
thumbs-up: thumbs up
waving-hand: waving hand | hand
victory-hand: peace sign | victory hand
flexed-biceps: arm | flexed biceps
eyes: eyes
eye: eye
tooth: tooth
santa-claus: santa claus
"""

# Picked five times as often as the rest: what a visitor asks for first.
CORE = set("""
dog-face cat-face mouse-face rabbit-face fox bear panda koala tiger-face lion cow-face pig-face frog monkey-face unicorn penguin bird
baby-chick duck owl butterfly honeybee snail lady-beetle turtle t-rex octopus crab fish tropical-fish dolphin whale elephant hedgehog
red-apple pear tangerine lemon banana watermelon grapes strawberry cherries peach pineapple tomato eggplant avocado broccoli carrot
ear-of-corn mushroom bread cheese-wedge hamburger french-fries pizza hot-dog egg popcorn soft-ice-cream doughnut cookie birthday-cake
cupcake lollipop candy hot-beverage beer-mug wine-glass rose sunflower tulip cherry-blossom cactus evergreen-tree deciduous-tree
palm-tree maple-leaf christmas-tree grinning-face face-with-tears-of-joy smiling-face-with-heart-eyes smiling-face-with-sunglasses
winking-face slightly-smiling-face slightly-frowning-face crying-face angry-face star-struck thinking-face smiling-face-with-horns ghost
skull alien robot jack-o-lantern red-heart blue-heart green-heart purple-heart fire star sun full-moon crescent-moon cloud rainbow
snowflake snowman-without-snow droplet high-voltage globe-showing-europe-africa ringed-planet house castle automobile bus police-car bicycle airplane
rocket flying-saucer sailboat soccer-ball basketball trophy balloon wrapped-gift teddy-bear game-die artist-palette crown top-hat t-shirt
high-heeled-shoe gem-stone umbrella guitar bell television camera light-bulb key locked magnet bomb envelope
""".split())

CONCEPTS = {}  # icon name -> list of phrases
for line in filter(None, (line.strip() for line in LINES.splitlines())):
    name, _, words = line.partition(":")
    CONCEPTS[name] = [word.strip() for word in words.split("|")] if words else [name.replace("-", " ")]
assert CORE <= CONCEPTS.keys(), CORE - CONCEPTS.keys()
