// What of a copy of the tree has to be built again.

module Stamps

open System
open System.Collections.Generic
open System.IO
open System.Text.RegularExpressions

/// The sources as they were last built, and when they were written.
let private stamps = Dictionary<string, byte[] * DateTime>()

/// Sources with the text that was last built get the time that they had then, so that they are not built again.
let stamp (tree: string) =
    if Directory.Exists tree then
        for path in Directory.GetFiles(tree, "*", SearchOption.AllDirectories) do
            if
                Regex.IsMatch(path, @"\.(fs|cs|fsproj|csproj|props)$")
                && not (Regex.IsMatch(path, "/(bin|obj)/"))
            then
                let hash = System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes path)

                match stamps.TryGetValue path with
                | true, (known, time) when hash.AsSpan().SequenceEqual known ->
                    File.SetLastWriteTimeUtc(path, time)
                | _ -> stamps[path] <- (hash, File.GetLastWriteTimeUtc path)
