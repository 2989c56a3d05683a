Console.WriteLine("Fanfare");
