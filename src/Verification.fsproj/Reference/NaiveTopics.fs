namespace Mqtt5.Verification

// Topic matching by the letter of section 4.7, apart from the core's.
module internal NaiveTopics =

    // The ShareName and the levels of a filter.
    let split (filter: string) : struct (string voption * string[]) =
        let levels = filter.Split '/'

        if levels.Length > 2 && levels[0] = "$share" then
            struct (ValueSome levels[1], levels[2..])
        else
            struct (ValueNone, levels)

    let matches (filter: string[]) (topic: string[]) : bool =
        let mutable index = 0
        let mutable verdict = ValueNone

        // [MQTT-4.7.2-1]
        if topic[0].StartsWith '$' && (filter[0] = "#" || filter[0] = "+") then
            verdict <- ValueSome false

        while verdict.IsNone do
            if index < filter.Length && filter[index] = "#" then
                verdict <- ValueSome true
            elif index = filter.Length || index = topic.Length then
                // a/# matches a.
                let parent = index = topic.Length && index + 1 = filter.Length && filter[index] = "#"
                verdict <- ValueSome(parent || (index = filter.Length && index = topic.Length))
            elif filter[index] = "+" || filter[index] = topic[index] then
                index <- index + 1
            else
                verdict <- ValueSome false

        verdict.Value
