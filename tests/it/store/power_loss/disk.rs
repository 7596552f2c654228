//! A disk that forgets what was not synced: what the log says was done to a folder, and what a power loss leaves of it.

use std::collections::{BTreeMap, HashMap};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::dice::Dice;
use super::log::Record;

/// A folder's content by relative names; `None` is a folder.
pub(super) type Image = BTreeMap<String, Option<Vec<u8>>>;

/// What happens to that which was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// None of it is there.
    Dropped,
    /// All of it is there.
    Kept,
    /// The beginning of it is there.
    Cut,
    /// Of each write some sectors of this many bytes are there, of truncations some, of names the first.
    Torn(usize),
}

/// The syncs that the disk pretends to do and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deaf {
    ToNothing,
    /// Those of the write-ahead log: about what `synchronous=NORMAL` leaves out.
    ToTheLog,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(usize),
    Folder,
}

#[derive(Debug, Clone)]
enum Naming {
    Put(String, Node),
    Remove(String),
    Rename(String, String),
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, Node>) {
        match self {
            Self::Put(name, node) => drop(names.insert(name.clone(), *node)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }

    fn folder(&self) -> &str {
        let (Self::Put(name, _) | Self::Remove(name) | Self::Rename(name, _)) = self;
        name.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

#[derive(Debug, Clone, Copy)]
enum Change<'a> {
    Write(usize, &'a [u8]),
    Truncate(usize),
}

impl Change<'_> {
    fn apply(self, content: &mut Vec<u8>) {
        match self {
            Change::Write(offset, data) => {
                let end = offset + data.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[offset..end].copy_from_slice(data);
            }
            Change::Truncate(length) => content.resize(length, 0),
        }
    }

    /// As [`Self::apply`], but only some of its sectors.
    fn tear(self, content: &mut Vec<u8>, sector: usize, dice: &mut Dice) {
        let Change::Write(offset, data) = self else {
            if dice.flip() {
                self.apply(content);
            }
            return;
        };
        let mut at = 0;
        while at < data.len() {
            let end = data.len().min(at + sector - (offset + at) % sector);
            if dice.flip() {
                Change::Write(offset + at, &data[at..end]).apply(content);
            }
            at = end;
        }
    }
}

#[derive(Debug, Clone, Default)]
struct File<'a> {
    durable: Vec<u8>,
    /// What was not synced yet, each with its place in the log.
    pending: Vec<(usize, Change<'a>)>,
}

/// The folder while the log is replayed.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk<'a> {
    files: Vec<File<'a>>,
    /// The names as the process sees them, and as they are on the disk.
    live: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    renaming: Vec<(usize, Naming)>,
    /// What an inode stands for at present: a file, or the folder of that name.
    inodes: HashMap<u64, (Node, String)>,
}

impl<'a> Disk<'a> {
    /// What was done to a folder that held `before`.
    pub(super) fn replay(before: &Image, records: &'a [Record], deaf: Deaf) -> Self {
        let mut disk = Self::default();
        for (name, content) in before {
            let node = content.as_ref().map_or(Node::Folder, |content| disk.file(content.clone()));
            disk.live.insert(name.clone(), node);
        }
        disk.live.insert(String::new(), Node::Folder);
        disk.durable = disk.live.clone();
        for (place, record) in records.iter().enumerate() {
            disk.step(place, record, deaf);
        }
        disk
    }

    fn file(&mut self, durable: Vec<u8>) -> Node {
        self.files.push(File { durable, pending: Vec::new() });
        Node::File(self.files.len() - 1)
    }

    fn step(&mut self, place: usize, record: &'a Record, deaf: Deaf) {
        match record {
            Record::Opened { file, name } => {
                let node = *self.live.get(name).unwrap_or_else(|| panic!("{name:?} was not seen coming"));
                self.inodes.insert(*file, (node, name.clone()));
            }
            Record::Created { file, name } => {
                let node = self.file(Vec::new());
                self.inodes.insert(*file, (node, name.clone()));
                self.name(place, Naming::Put(name.clone(), node));
            }
            Record::Wrote { file, offset, data } => self.change(place, *file, Change::Write(*offset, data)),
            Record::Truncated { file, length } => self.change(place, *file, Change::Truncate(*length)),
            Record::Synced { file } => self.sync(*file, deaf),
            Record::Renamed { from, to } => self.name(place, Naming::Rename(from.clone(), to.clone())),
            Record::Unlinked { name } => self.name(place, Naming::Remove(name.clone())),
            Record::MadeFolder { name } => self.name(place, Naming::Put(name.clone(), Node::Folder)),
            Record::Said(_) => {}
        }
    }

    fn name(&mut self, place: usize, naming: Naming) {
        naming.apply(&mut self.live);
        self.renaming.push((place, naming));
    }

    fn change(&mut self, place: usize, inode: u64, change: Change<'a>) {
        let (Node::File(file), _) = self.inodes[&inode] else { panic!("a folder was written to") };
        self.files[file].pending.push((place, change));
    }

    /// A file's content is safe when the file is synced, and its name when its folder is.
    fn sync(&mut self, inode: u64, deaf: Deaf) {
        match &self.inodes[&inode] {
            (Node::File(_), name) if deaf == Deaf::ToTheLog && name.ends_with("-wal") => {}
            (Node::File(file), _) => {
                let File { durable, pending } = &mut self.files[*file];
                pending.drain(..).for_each(|(_, change)| change.apply(durable));
            }
            (Node::Folder, folder) => {
                let (safe, rest) = self.renaming.drain(..).partition(|(_, naming)| naming.folder() == folder);
                self.renaming = rest;
                let safe: Vec<_> = safe;
                safe.iter().for_each(|(_, naming)| naming.apply(&mut self.durable));
            }
        }
    }

    /// The power goes.
    pub(super) fn crash(mut self, loss: Loss, dice: &mut Dice) -> Image {
        let contents = self.files.iter().flat_map(|file| file.pending.iter().map(|(place, _)| *place));
        let mut places: Vec<_> = contents.chain(self.renaming.iter().map(|(place, _)| *place)).collect();
        places.sort_unstable();
        // What came before that place is there.
        let cut = match loss {
            Loss::Dropped => 0,
            Loss::Kept => usize::MAX,
            Loss::Cut | Loss::Torn(_) => dice.pick(&places).copied().unwrap_or(0),
        };
        for (_, naming) in self.renaming.iter().filter(|(place, _)| *place < cut) {
            naming.apply(&mut self.durable);
        }
        for File { durable, pending } in &mut self.files {
            for (place, change) in pending.drain(..) {
                match loss {
                    Loss::Torn(sector) => change.tear(durable, sector, dice),
                    _ if place < cut => change.apply(durable),
                    _ => {}
                }
            }
        }
        self.durable.remove("");
        let node = |node| match node {
            Node::File(file) => Some(self.files[file].durable.clone()),
            Node::Folder => None,
        };
        let is_there = |name: &str| name.rsplit_once('/').is_none_or(|(folder, _)| self.durable.contains_key(folder));
        let names = self.durable.iter().filter(|(name, _)| is_there(name));
        names.map(|(name, found)| (name.clone(), node(*found))).collect()
    }
}

/// Puts an image into an empty folder, with the rights that the store demands.
pub(super) fn put(image: &Image, folder: &Path) {
    let set = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("rights");
    set(folder, 0o700);
    for (name, content) in image {
        let path = folder.join(name);
        match content {
            Some(content) => std::fs::write(&path, content).map(|()| set(&path, 0o600)),
            None => std::fs::create_dir(&path).map(|()| set(&path, 0o700)),
        }
        .expect("the image is written");
    }
}

/// What is in a folder.
pub(super) fn take(folder: &Path) -> Image {
    let mut image = Image::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(inner).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(folder).expect("inside").to_str().expect("text").to_owned();
            let content = path.is_file().then(|| std::fs::read(&path).expect("a readable file"));
            image.insert(name, content);
            folders.extend(path.is_dir().then_some(path));
        }
    }
    image
}
