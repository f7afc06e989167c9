return {["refresh"] = {["disabled"] = false}}
